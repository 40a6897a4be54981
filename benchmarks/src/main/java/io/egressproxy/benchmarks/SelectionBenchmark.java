package io.egressproxy.benchmarks;

import com.linecorp.armeria.client.ClientRequestContext;
import com.linecorp.armeria.client.Endpoint;
import com.linecorp.armeria.client.endpoint.EndpointGroup;
import com.linecorp.armeria.client.endpoint.EndpointSelectionStrategy;
import com.linecorp.armeria.common.HttpMethod;
import com.linecorp.armeria.common.HttpRequest;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;
import org.springframework.cloud.client.DefaultServiceInstance;
import org.springframework.cloud.client.ServiceInstance;
import org.springframework.cloud.loadbalancer.core.NoopServiceInstanceListSupplier;
import org.springframework.cloud.loadbalancer.core.RoundRobinLoadBalancer;
import org.springframework.cloud.loadbalancer.core.ServiceInstanceListSupplier;
import org.springframework.cloud.loadbalancer.support.SimpleObjectProvider;
import reactor.core.publisher.Flux;

/**
 * Taking a proxy out of a pool and giving it back. Ours counts the use and remembers who has it, which is the lease; the peers
 * and the bounds only choose.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class SelectionBenchmark {
    private static final Outcome CANCELLED = new Outcome.Cancelled();
    private static final ProxyTarget TARGET =
            new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, "api.binance.com", 443);

    @Param({"10", "100", "1000", "10000"})
    private int size;

    private ProxyUrl[] bare;
    private final AtomicLong turn = new AtomicLong();
    private ProxyPool roundRobin;
    private ProxyPool random;
    private ProxyPool leastConnections;
    private EndpointGroup armeria;
    private ClientRequestContext armeriaContext;
    private RoundRobinLoadBalancer springCloud;

    @Setup
    public void createPools() {
        List<ProxyUrl> urls = IntStream.range(0, size)
                .mapToObj(i -> ProxyUrl.parse("http://proxy-" + i + ":8080"))
                .toList();
        bare = urls.toArray(ProxyUrl[]::new);
        roundRobin = pool("round_robin", urls);
        random = pool("random", urls);
        leastConnections = pool("least_connections", urls);
        armeria = EndpointGroup.of(
                EndpointSelectionStrategy.roundRobin(),
                urls.stream().map(url -> Endpoint.of(url.host(), url.port())).toList());
        armeriaContext = ClientRequestContext.of(HttpRequest.of(HttpMethod.GET, "/"));
        List<ServiceInstance> instances = urls.stream()
                .<ServiceInstance>map(url -> new DefaultServiceInstance(url.host(), "s", url.host(), url.port(), false))
                .toList();
        ServiceInstanceListSupplier supplier = new NoopServiceInstanceListSupplier() {
            @Override
            public Flux<List<ServiceInstance>> get() {
                return Flux.just(instances);
            }
        };
        springCloud = new RoundRobinLoadBalancer(new SimpleObjectProvider<>(supplier), "s", 0);
    }

    private static ProxyPool pool(String strategy, List<ProxyUrl> urls) {
        ProxyEntry one = ProxyEntry.directly();
        ProxyEntry entry = new ProxyEntry(
                null,
                10,
                false,
                null,
                urls.stream()
                        .map(url -> new PoolMember(url, null, 1, true, null, null))
                        .toList(),
                null,
                strategy,
                3,
                Duration.ofSeconds(5),
                OnExhausted.LAST_RESORT,
                one.healthCheck(),
                one.circuitBreaker());
        return new ProxyPool("benchmark", entry, name -> null);
    }

    private static ProxyUrl takeAndGiveBack(ProxyPool pool) {
        ProxyPool.Use use = (ProxyPool.Use) pool.acquire(TARGET, List.of());
        use.close(CANCELLED);
        return use.proxy();
    }

    @Benchmark
    public ProxyUrl boundRoundRobin() {
        return bare[(int) (turn.getAndIncrement() % bare.length)];
    }

    @Benchmark
    public ProxyUrl boundRandom() {
        return bare[ThreadLocalRandom.current().nextInt(bare.length)];
    }

    @Benchmark
    public ProxyUrl oursRoundRobin() {
        return takeAndGiveBack(roundRobin);
    }

    @Benchmark
    public ProxyUrl oursRandom() {
        return takeAndGiveBack(random);
    }

    @Benchmark
    public ProxyUrl oursLeastConnections() {
        return takeAndGiveBack(leastConnections);
    }

    @Benchmark
    public Endpoint armeriaRoundRobin() {
        return armeria.selectNow(armeriaContext);
    }

    @Benchmark
    public Object springCloudRoundRobin() {
        return springCloud.choose().block();
    }
}
