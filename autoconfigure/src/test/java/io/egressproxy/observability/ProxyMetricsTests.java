package io.egressproxy.observability;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyDecision.Direct;
import io.egressproxy.ProxyDecision.Reason;
import io.egressproxy.ProxyTarget;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("NFR-3")
class ProxyMetricsTests {
    private static final ExchangeId BINANCE = ExchangeId.of("binance");
    private static final ProxyTarget TARGET = ProxyTarget.of(BINANCE, ConnectionType.HTTP);
    private static final ProxyDecision DIRECT = new Direct(Reason.CONFIGURED);

    private final ProxyMetrics metrics = new ProxyMetrics(Set.of(BINANCE));
    private final MeterRegistry registry = new SimpleMeterRegistry();

    private double open() {
        return registry.get(ProxyMetrics.ACTIVE_CONNECTIONS)
                .tag("exchange", "binance")
                .tag("connection.type", "http")
                .gauge()
                .value();
    }

    @Test
    void connectionsThatAreOlderThanTheRegistryAreCountedAsOpen() {
        metrics.decided(TARGET, DIRECT);
        metrics.bindTo(registry);
        assertThat(open()).isEqualTo(1);
        metrics.decided(TARGET, DIRECT);
        assertThat(open()).isEqualTo(2);
        metrics.ended(TARGET, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        metrics.ended(TARGET, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        assertThat(open()).isZero();
    }

    @Test
    void aRefusalOpensNothing() {
        metrics.bindTo(registry);
        metrics.decided(TARGET, DIRECT);
        metrics.decided(TARGET, new ProxyDecision.Refuse("why"));
        assertThat(open()).isEqualTo(1);
        assertThat(registry.get(ProxyMetrics.DECISIONS)
                        .tag("source", "refused")
                        .counter()
                        .count())
                .isEqualTo(1);
    }

    @Test
    void aConnectionIsTimedByItsOutcomeAndBlame() {
        metrics.bindTo(registry);
        metrics.ended(TARGET, DIRECT, new Outcome.Succeeded(Duration.ofMillis(3)), Duration.ofDays(1));
        metrics.ended(
                TARGET, DIRECT, new Outcome.Failed(ConnectionStage.TCP, Blame.PROXY, "refused"), Duration.ofMillis(5));
        assertThat(registry.get(ProxyMetrics.CONNECTIONS)
                        .tags("outcome", "succeeded", "blame", "none", "source", "direct")
                        .timer()
                        .totalTime(java.util.concurrent.TimeUnit.MILLISECONDS))
                .as("until the tunnel stood")
                .isEqualTo(3);
        assertThat(registry.get(ProxyMetrics.CONNECTIONS)
                        .tags("outcome", "failed", "blame", "proxy")
                        .timer()
                        .count())
                .isEqualTo(1);
    }

    @Test
    void theNumberOfTagsIsBounded() {
        metrics.bindTo(registry);
        IntStream.range(0, 1_000).forEach(i -> {
            ProxyTarget target = ProxyTarget.of(ExchangeId.of("exchange" + i), ConnectionType.HTTP);
            metrics.decided(target, DIRECT);
            metrics.fellBack(target, "timeout", DIRECT);
            metrics.ended(target, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
            metrics.serviceRequest("https://pod-" + i, "success", "id", Duration.ZERO);
        });
        assertThat(registry.getMeters()).hasSizeLessThan(50);
        assertThat(registry.get(ProxyMetrics.DECISIONS)
                        .tag("exchange", "default")
                        .counter()
                        .count())
                .isEqualTo(1_000);
        assertThat(registry.get(ProxyMetrics.SERVICE_REQUESTS)
                        .tag("endpoint", "other")
                        .timer()
                        .count())
                .isPositive();
    }
}
