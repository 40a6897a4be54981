package io.egressproxy.pool;

import io.grpc.Attributes;
import io.grpc.CallOptions;
import io.grpc.ConnectivityState;
import io.grpc.ConnectivityStateInfo;
import io.grpc.EquivalentAddressGroup;
import io.grpc.LoadBalancer;
import io.grpc.LoadBalancerProvider;
import io.grpc.LoadBalancerRegistry;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.SynchronizationContext;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.function.IntPredicate;
import java.util.stream.IntStream;

/** What gRPC chooses among: a load balancer of its own over subchannels that are ready at once, or fail, and connect nowhere. */
final class GrpcPicker extends LoadBalancer.Helper implements AutoCloseable {
    private final SynchronizationContext context = new SynchronizationContext((thread, failure) -> {
        throw new IllegalStateException(failure);
    });
    private final ScheduledExecutorService timer = Executors.newSingleThreadScheduledExecutor();
    private final List<Ready> subchannels = new ArrayList<>();
    private final IntPredicate out;
    private final LoadBalancer balancer;
    private final LoadBalancer.PickSubchannelArgs call = new Call();
    private volatile LoadBalancer.SubchannelPicker picker;

    GrpcPicker(LoadBalancerProvider provider, int size, IntPredicate out) {
        this.out = out;
        this.balancer = provider.newLoadBalancer(this);
        List<EquivalentAddressGroup> addresses = IntStream.range(0, size)
                .mapToObj(i -> new EquivalentAddressGroup(InetSocketAddress.createUnresolved("proxy-" + i, 8080)))
                .toList();
        context.execute(() -> balancer.acceptResolvedAddresses(LoadBalancer.ResolvedAddresses.newBuilder()
                .setAddresses(addresses)
                .setAttributes(Attributes.EMPTY)
                .build()));
        if (picker == null || pick() == null) {
            throw new IllegalStateException("gRPC gives no subchannel");
        }
    }

    static LoadBalancerProvider provider(String policy) {
        return Objects.requireNonNull(LoadBalancerRegistry.getDefaultRegistry().getProvider(policy), policy);
    }

    Object pick() {
        return picker.pickSubchannel(call).getSubchannel();
    }

    /** One of them fails, or is ready again. */
    void flip(boolean fails) {
        context.execute(() -> subchannels.get(0).tell(fails));
    }

    @Override
    public void close() {
        context.execute(balancer::shutdown);
        timer.shutdownNow();
    }

    @Override
    public LoadBalancer.Subchannel createSubchannel(LoadBalancer.CreateSubchannelArgs args) {
        Ready subchannel = new Ready(args.getAddresses(), out.test(subchannels.size()));
        subchannels.add(subchannel);
        return subchannel;
    }

    @Override
    public void updateBalancingState(ConnectivityState state, LoadBalancer.SubchannelPicker next) {
        picker = next;
    }

    @Override
    public SynchronizationContext getSynchronizationContext() {
        return context;
    }

    @Override
    public ScheduledExecutorService getScheduledExecutorService() {
        return timer;
    }

    @Override
    public void refreshNameResolution() {
        // there is none
    }

    @Override
    public ManagedChannel createOobChannel(EquivalentAddressGroup group, String authority) {
        throw new UnsupportedOperationException("nobody connects");
    }

    @Override
    public String getAuthority() {
        return "benchmark";
    }

    private final class Ready extends LoadBalancer.Subchannel {
        private final List<EquivalentAddressGroup> addresses;
        private final boolean fails;
        private LoadBalancer.SubchannelStateListener listener;

        Ready(List<EquivalentAddressGroup> addresses, boolean fails) {
            this.addresses = addresses;
            this.fails = fails;
        }

        void tell(boolean failing) {
            if (failing) {
                listener.onSubchannelState(ConnectivityStateInfo.forTransientFailure(Status.UNAVAILABLE));
            } else {
                listener.onSubchannelState(ConnectivityStateInfo.forNonError(ConnectivityState.READY));
            }
        }

        @Override
        public void start(LoadBalancer.SubchannelStateListener toTell) {
            listener = toTell;
        }

        @Override
        public void requestConnection() {
            context.execute(() -> {
                listener.onSubchannelState(ConnectivityStateInfo.forNonError(ConnectivityState.CONNECTING));
                tell(fails);
            });
        }

        @Override
        public void shutdown() {
            // nothing is open
        }

        @Override
        public List<EquivalentAddressGroup> getAllAddresses() {
            return addresses;
        }

        @Override
        public Attributes getAttributes() {
            return Attributes.EMPTY;
        }
    }

    /** A call of which the load balancers look at nothing. */
    private static final class Call extends LoadBalancer.PickSubchannelArgs {
        private static final MethodDescriptor.Marshaller<byte[]> NOTHING = new MethodDescriptor.Marshaller<>() {
            @Override
            public InputStream stream(byte[] value) {
                return InputStream.nullInputStream();
            }

            @Override
            public byte[] parse(InputStream stream) {
                return new byte[0];
            }
        };

        private final MethodDescriptor<byte[], byte[]> method = MethodDescriptor.<byte[], byte[]>newBuilder(
                        NOTHING, NOTHING)
                .setType(MethodDescriptor.MethodType.UNARY)
                .setFullMethodName("benchmark/pick")
                .build();
        private final Metadata headers = new Metadata();

        @Override
        public CallOptions getCallOptions() {
            return CallOptions.DEFAULT;
        }

        @Override
        public Metadata getHeaders() {
            return headers;
        }

        @Override
        public MethodDescriptor<?, ?> getMethodDescriptor() {
            return method;
        }
    }
}
