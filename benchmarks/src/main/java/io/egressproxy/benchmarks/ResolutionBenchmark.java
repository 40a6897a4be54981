package io.egressproxy.benchmarks;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyLease;
import io.egressproxy.ProxyTarget;
import io.egressproxy.routing.ProxyRouter;
import io.egressproxy.service.ProxyServiceClient;
import io.egressproxy.service.ServiceDelegation;
import io.egressproxy.settings.ProxySettings;
import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import reactor.core.publisher.Mono;

/** A connection's whole way through the router and back: by the embedded pool, by a kept answer, and while the service is away. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
public class ResolutionBenchmark {
    private static final Outcome CANCELLED = new Outcome.Cancelled();
    private static final ProxyTarget TARGET =
            new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, "api.binance.com", 443);

    private ServiceDelegation serving;
    private ServiceDelegation away;
    private ProxyRouter embedded;
    private ProxyRouter kept;
    private ProxyRouter whileAway;

    @Setup
    public void start() {
        ProxySettings settings = ServiceAnswers.settings();
        ProxyServiceClient answering = (request, correlationId) -> Mono.just(ServiceAnswers.ANSWER);
        ProxyServiceClient failing = (request, correlationId) -> Mono.error(() -> new IOException("away"));
        serving = ServiceAnswers.delegation(settings, answering);
        away = ServiceAnswers.delegation(settings, failing);
        embedded = new ProxyRouter(settings);
        kept = new ProxyRouter(settings, name -> null, serving.answers(), ProxyEventListener.NONE);
        whileAway = new ProxyRouter(settings, name -> null, away.answers(), ProxyEventListener.NONE);
    }

    @TearDown
    public void close() {
        serving.close();
        away.close();
    }

    private static ProxyLease leased(ProxyRouter router) {
        ProxyLease lease = router.lease(TARGET, List.of()).block();
        lease.close(CANCELLED);
        return lease;
    }

    @Benchmark
    public ProxyLease embeddedPool() {
        return leased(embedded);
    }

    @Benchmark
    public ProxyLease keptAnswer() {
        return leased(kept);
    }

    @Benchmark
    public ProxyLease embeddedPoolWhileTheServiceIsAway() {
        return leased(whileAway);
    }
}
