package io.egressproxy.benchmarks;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyConnectionException;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.observability.ProxyMetrics;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.ProxySettings;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.TearDown;
import reactor.core.publisher.Mono;

/**
 * A connection's whole way through the router and back, as a channel goes it: the exchange found by its host, the route, the choice, the lease with
 * its meters in a Prometheus registry, and the lease given back with what became of it. By the embedded pool, by a kept answer, and while the
 * service is away. The bound is made of what cannot be spared: a map that is asked for the host, a rotation, a count up and down, the clock at both
 * ends, and the meters.
 */
public class DecisionBenchmark extends NanosBenchmark {
    private static final String HOST = "api.binance.com";

    private ServiceDelegation serving;
    private ServiceDelegation away;
    private ProxyRouter embedded;
    private ProxyRouter kept;
    private ProxyRouter whileAway;

    private final Map<String, Object[]> bare = new HashMap<>();
    private final AtomicLong turn = new AtomicLong();
    private final AtomicInteger active = new AtomicInteger();
    private final AtomicInteger open = new AtomicInteger();
    private Counter counter;
    private Timer timer;

    @Setup
    public void start() {
        PrometheusMeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
        ProxySettings settings = ServiceAnswers.settings();
        ProxySettings withoutService = ServiceAnswers.settingsWithoutService();
        ProxyMetrics metrics = new ProxyMetrics(Set.of(ExchangeId.of("binance")), Set::of);
        metrics.bindTo(registry);
        ProxyServiceClient answering = (request, correlationId) -> Mono.just(ServiceAnswers.ANSWER);
        ProxyServiceClient failing = (request, correlationId) -> Mono.error(() -> new IOException("away"));
        serving = ServiceAnswers.delegation(settings, answering);
        away = ServiceAnswers.delegation(settings, failing);
        embedded = new ProxyRouter(withoutService, name -> null, null, metrics);
        kept = new ProxyRouter(settings, name -> null, serving.answers(), metrics);
        whileAway = new ProxyRouter(settings, name -> null, away.answers(), metrics);
        bare.put(HOST, new Object[] {"one", "two", "three"});
        counter = registry.counter("bare");
        timer = registry.timer("bare.timer");
        warm(kept);
        warm(whileAway);
    }

    /** The first connections ask the service, or learn that it is away. */
    private static void warm(ProxyRouter router) {
        ProxyTarget target = router.target(ConnectionType.HTTP, HOST, 443);
        for (int i = 0; i < 100; i++) {
            ProxyLease lease = router.lease(target, List.of()).block();
            lease.close(new Outcome.Cancelled());
        }
    }

    @TearDown
    public void close() {
        serving.close();
        away.close();
    }

    private static ProxyLease decided(ProxyRouter router) throws ProxyConnectionException {
        ProxyTarget target = router.target(ConnectionType.HTTP, HOST, 443);
        ProxyLease atOnce = router.leaseAtOnce(target, List.of());
        ProxyLease lease = atOnce != null
                ? atOnce
                : router.lease(target, List.of()).block(); // now and then whether the service is back
        lease.close(new Outcome.Succeeded(Duration.ofMillis(45)));
        return lease;
    }

    @Benchmark
    public Object bound() {
        Object[] proxies = bare.get(HOST);
        Object proxy = proxies[(int) (turn.getAndIncrement() % proxies.length)];
        open.incrementAndGet();
        active.incrementAndGet();
        counter.increment();
        long start = System.nanoTime();
        active.decrementAndGet();
        open.decrementAndGet();
        timer.record(System.nanoTime() - start, TimeUnit.NANOSECONDS);
        return proxy;
    }

    @Benchmark
    public ProxyLease embeddedPool() throws ProxyConnectionException {
        return decided(embedded);
    }

    @Benchmark
    public ProxyLease keptAnswer() throws ProxyConnectionException {
        return decided(kept);
    }

    @Benchmark
    public ProxyLease embeddedPoolWhileTheServiceIsAway() throws ProxyConnectionException {
        return decided(whileAway);
    }
}
