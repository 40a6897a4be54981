package io.egressproxy.benchmarks;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.observability.ProxyMetrics;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.prometheusmetrics.PrometheusConfig;
import io.micrometer.prometheusmetrics.PrometheusMeterRegistry;
import java.time.Duration;
import java.util.Set;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Setup;

/** What a connection pays for its meters with a Prometheus registry, beside a counter and a timer that are at hand. */
public class MetricsBenchmark extends NanosBenchmark {
    private static final ExchangeId BINANCE = ExchangeId.of("binance");
    private static final ProxyTarget TARGET = new ProxyTarget(BINANCE, ConnectionType.HTTP, "api.binance.com", 443);
    private static final ProxyDecision DECISION =
            new UseProxy(ProxyUrl.parse("http://10.1.2.3:8080"), Duration.ofSeconds(5), null, Source.CACHE);
    private static final Outcome SUCCEEDED = new Outcome.Succeeded(Duration.ofMillis(45));

    private final MeterRegistry registry = new PrometheusMeterRegistry(PrometheusConfig.DEFAULT);
    private final ProxyMetrics bound = new ProxyMetrics(Set.of(BINANCE), Set::of);
    private final Counter counter = registry.counter("bare");
    private final Timer timer = registry.timer("bare.timer");

    @Setup
    public void bind() {
        bound.bindTo(registry);
    }

    @Benchmark
    public void bareCounter() {
        counter.increment();
    }

    @Benchmark
    public void bareCounterAndTimer() {
        counter.increment();
        timer.record(Duration.ofMillis(45));
    }

    @Benchmark
    public void decision() {
        bound.decided(TARGET, DECISION, null);
    }

    @Benchmark
    public void decisionAndEnd() {
        bound.decided(TARGET, DECISION, null);
        bound.ended(TARGET, DECISION, SUCCEEDED, Duration.ofMillis(45));
    }
}
