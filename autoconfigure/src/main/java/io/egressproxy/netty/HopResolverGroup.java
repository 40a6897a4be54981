package io.egressproxy.netty;

import io.netty.resolver.AddressResolver;
import io.netty.resolver.AddressResolverGroup;
import io.netty.util.concurrent.EventExecutor;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Promise;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.util.List;

/**
 * A resolver that never resolves: it answers a {@link ConnectionPlan} for any name or address. Set on a client, it keeps
 * Spring Boot's and Reactor Netty's own resolvers from asking the DNS for the target, and brings the plan to the channel.
 */
final class HopResolverGroup extends AddressResolverGroup<SocketAddress> {

    @Override
    protected AddressResolver<SocketAddress> newResolver(EventExecutor executor) {
        return new HopResolver(executor);
    }

    private static final class HopResolver implements AddressResolver<SocketAddress> {
        private final EventExecutor executor;

        HopResolver(EventExecutor executor) {
            this.executor = executor;
        }

        /** Unix domain sockets are none of our business: they never leave the machine. */
        @Override
        public boolean isSupported(SocketAddress address) {
            return address instanceof InetSocketAddress;
        }

        @Override
        public boolean isResolved(SocketAddress address) {
            return false;
        }

        @Override
        public Future<SocketAddress> resolve(SocketAddress address) {
            return resolve(address, executor.newPromise());
        }

        @Override
        public Future<SocketAddress> resolve(SocketAddress address, Promise<SocketAddress> promise) {
            return promise.setSuccess(
                    ConnectionPlan.ofOneAttempt((InetSocketAddress) address).get(0));
        }

        @Override
        public Future<List<SocketAddress>> resolveAll(SocketAddress address) {
            return resolveAll(address, executor.newPromise());
        }

        @Override
        public Future<List<SocketAddress>> resolveAll(SocketAddress address, Promise<List<SocketAddress>> promise) {
            return promise.setSuccess(ConnectionPlan.of((InetSocketAddress) address));
        }

        @Override
        public void close() {
            // holds nothing
        }
    }
}
