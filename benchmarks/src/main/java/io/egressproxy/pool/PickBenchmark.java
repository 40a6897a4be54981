package io.egressproxy.pool;

import com.linecorp.armeria.client.ClientRequestContext;
import com.linecorp.armeria.client.Endpoint;
import com.linecorp.armeria.client.endpoint.EndpointGroup;
import com.linecorp.armeria.client.endpoint.EndpointSelectionStrategy;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.benchmarks.NanosBenchmark;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.vertx.core.net.endpoint.LoadBalancer;
import io.vertx.core.net.endpoint.ServerSelector;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicIntegerArray;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.infra.BenchmarkParams;

/**
 * Choosing a proxy, and nothing else: ours beside the peers and lower bounds in one run. The same number of connections is open through each proxy for
 * those that count them.
 */
public class PickBenchmark extends NanosBenchmark {
    private static final ProxyTarget TARGET =
            new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, "api.binance.com", 443);
    private static final Collection<ProxyUrl> NONE = List.of();
    private static final int OPEN = 3;

    @Param({"10", "100", "1000", "10000"})
    private int size;

    private ProxyUrl[] bare;
    private AtomicIntegerArray loads;
    private final AtomicLong turn = new AtomicLong();
    private PoolSnapshot usable;
    private final Selection roundRobin = Selection.builtIn("round_robin");
    private final Selection random = Selection.builtIn("random");
    private final Selection leastConnections = Selection.builtIn("least_connections");
    private EndpointGroup armeria;
    private ClientRequestContext armeriaContext;
    private ServerSelector vertx;
    private GrpcPicker grpc;
    private SpringCloudBalancer springCloud;

    /** Only what the benchmark at hand chooses among: ten thousand of each peer's would take longer to make than to measure. */
    @Setup
    public void create(BenchmarkParams benchmark) {
        String method =
                benchmark.getBenchmark().substring(benchmark.getBenchmark().lastIndexOf('.') + 1);
        List<ProxyUrl> urls = IntStream.range(0, size)
                .mapToObj(i -> ProxyUrl.parse("http://proxy-" + i + ":8080"))
                .toList();
        if (method.startsWith("bound")) {
            bare = urls.toArray(ProxyUrl[]::new);
            loads = new AtomicIntegerArray(
                    IntStream.generate(() -> OPEN).limit(size).toArray());
        } else if (method.startsWith("ours")) {
            usable = PoolSnapshot.of(urls.stream().map(PickBenchmark::pooled).toList(), System::nanoTime);
        } else {
            createPeer(method, urls);
        }
    }

    private void createPeer(String method, List<ProxyUrl> urls) {
        switch (method) {
            case "armeriaRoundRobin" -> {
                armeria = EndpointGroup.of(
                        EndpointSelectionStrategy.roundRobin(),
                        urls.stream()
                                .map(url -> Endpoint.of(url.host(), url.port()))
                                .toList());
                armeriaContext = ClientRequestContext.of(HttpRequest.of(HttpMethod.GET, "/"));
            }
            case "vertxRoundRobin" -> vertx = VertxEndpoints.selector(LoadBalancer.ROUND_ROBIN, size, 0);
            case "vertxRandom" -> vertx = VertxEndpoints.selector(LoadBalancer.RANDOM, size, 0);
            case "vertxLeastRequests" -> vertx = VertxEndpoints.selector(LoadBalancer.LEAST_REQUESTS, size, OPEN);
            case "vertxPowerOfTwoChoices" ->
                vertx = VertxEndpoints.selector(LoadBalancer.POWER_OF_TWO_CHOICES, size, OPEN);
            case "grpcRoundRobin" -> grpc = new GrpcPicker(GrpcPicker.provider("round_robin"), size, i -> false);
            case "grpcLeastRequest" ->
                grpc = new GrpcPicker(GrpcPicker.provider("least_request_experimental"), size, i -> false);
            case "springCloudRoundRobin" -> springCloud = SpringCloudBalancer.of(size);
            case "springCloudRoundRobinHealthChecked" -> springCloud = SpringCloudBalancer.healthChecked(size);
            default -> throw new IllegalStateException(method + " chooses among nothing");
        }
    }

    @TearDown
    public void close() throws Exception {
        if (grpc != null) {
            grpc.close();
        }
        if (springCloud != null) {
            springCloud.close();
        }
    }

    private static PooledProxy pooled(ProxyUrl url) {
        PooledProxy proxy = new PooledProxy(
                new PoolMember(url, null, 1, true, null, null),
                Duration.ofSeconds(10),
                null,
                new ProxyBreaker(ProxyEntry.directly().circuitBreaker(), Duration.ofSeconds(10), Math::random));
        for (int i = 0; i < OPEN; i++) {
            proxy.taken();
        }
        return proxy;
    }

    @Benchmark
    public Object boundRoundRobin() {
        return bare[(int) (turn.getAndIncrement() % bare.length)];
    }

    @Benchmark
    public Object boundRandom() {
        return bare[ThreadLocalRandom.current().nextInt(bare.length)];
    }

    @Benchmark
    public Object boundPowerOfTwoChoices() {
        ThreadLocalRandom draw = ThreadLocalRandom.current();
        int one = draw.nextInt(bare.length);
        int other = draw.nextInt(bare.length);
        return bare[loads.get(one) <= loads.get(other) ? one : other];
    }

    @Benchmark
    public Object boundLeastByScan() {
        int best = 0;
        int least = Integer.MAX_VALUE;
        for (int i = 0; i < bare.length; i++) {
            int load = loads.get(i);
            if (load < least) {
                least = load;
                best = i;
            }
        }
        return bare[best];
    }

    @Benchmark
    public Object oursRoundRobin() {
        return roundRobin.select(usable, NONE, TARGET);
    }

    @Benchmark
    public Object oursRandom() {
        return random.select(usable, NONE, TARGET);
    }

    @Benchmark
    public Object oursLeastConnections() {
        return leastConnections.select(usable, NONE, TARGET);
    }

    @Benchmark
    public Object armeriaRoundRobin() {
        return armeria.selectNow(armeriaContext);
    }

    @Benchmark
    public int vertxRoundRobin() {
        return vertx.select();
    }

    @Benchmark
    public int vertxRandom() {
        return vertx.select();
    }

    @Benchmark
    public int vertxLeastRequests() {
        return vertx.select();
    }

    @Benchmark
    public int vertxPowerOfTwoChoices() {
        return vertx.select();
    }

    @Benchmark
    public Object grpcRoundRobin() {
        return grpc.pick();
    }

    @Benchmark
    public Object grpcLeastRequest() {
        return grpc.pick();
    }

    @Benchmark
    public Object springCloudRoundRobin() {
        return springCloud.choose();
    }

    @Benchmark
    public Object springCloudRoundRobinHealthChecked() {
        return springCloud.choose();
    }
}
