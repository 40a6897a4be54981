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
import io.egressproxy.ProxyUrl;
import io.micrometer.common.docs.KeyName;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

@Tag("NFR-3")
class ProxyMetricsTests {
    private static final ExchangeId BINANCE = ExchangeId.of("binance");
    private static final ProxyTarget TARGET = ProxyTarget.of(BINANCE, ConnectionType.HTTP);
    private static final ProxyDecision DIRECT = new Direct(Reason.CONFIGURED);

    private Set<ExchangeId> configured = Set.of(BINANCE);
    private final ProxyMetrics metrics = new ProxyMetrics(configured, () -> configured);
    private final MeterRegistry registry = new SimpleMeterRegistry();

    private double open() {
        return open("binance");
    }

    private double open(String exchange) {
        return registry.get(ProxyMeters.CONNECTIONS_ACTIVE.getName())
                .tag("exchange", exchange)
                .tag("connection.type", "http")
                .gauge()
                .value();
    }

    @Test
    void connectionsThatAreOlderThanTheRegistryAreCountedAsOpen() {
        metrics.decided(TARGET, DIRECT, null);
        metrics.bindTo(registry);
        assertThat(open()).isEqualTo(1);
        metrics.decided(TARGET, DIRECT, null);
        assertThat(open()).isEqualTo(2);
        metrics.ended(TARGET, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        metrics.ended(TARGET, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        assertThat(open()).isZero();
    }

    @Test
    void aRefusalOpensNothing() {
        metrics.bindTo(registry);
        metrics.decided(TARGET, DIRECT, null);
        metrics.decided(TARGET, new ProxyDecision.Refuse("why"), null);
        assertThat(open()).isEqualTo(1);
        assertThat(registry.get(ProxyMeters.DECISIONS.getName())
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
        assertThat(registry.get(ProxyMeters.CONNECTIONS.getName())
                        .tags("outcome", "succeeded", "blame", "none", "source", "direct")
                        .timer()
                        .totalTime(java.util.concurrent.TimeUnit.MILLISECONDS))
                .as("until the tunnel stood")
                .isEqualTo(3);
        assertThat(registry.get(ProxyMeters.CONNECTIONS.getName())
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
            metrics.decided(target, DIRECT, null);
            metrics.fellBack(target, "timeout", DIRECT, null);
            metrics.ended(target, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
            metrics.serviceRequest("https://pod-" + i, "success", "id", Duration.ZERO);
        });
        assertThat(registry.getMeters()).hasSizeLessThan(50);
        assertThat(registry.get(ProxyMeters.DECISIONS.getName())
                        .tag("exchange", "default")
                        .counter()
                        .count())
                .isEqualTo(1_000);
        assertThat(registry.get(ProxyMeters.SERVICE_REQUESTS.getName())
                        .tag("endpoint", "other")
                        .timer()
                        .count())
                .isPositive();
    }

    @Test
    void connectionsThatAreOpenWhileTheirExchangeGetsANameOfItsOwnAreCountedUnderIt() {
        metrics.bindTo(registry);
        ProxyTarget kraken = ProxyTarget.of(ExchangeId.of("kraken"), ConnectionType.HTTP);
        metrics.decided(kraken, DIRECT, null);
        metrics.decided(TARGET, DIRECT, null);
        assertThat(open("default")).isEqualTo(1);
        configured = Set.of(ExchangeId.of("kraken"));
        metrics.reloaded("applied");
        assertThat(open("kraken")).isEqualTo(1);
        assertThat(open("default")).as("binance").isEqualTo(1);
        metrics.ended(kraken, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        metrics.ended(TARGET, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        assertThat(open("kraken")).isZero();
        assertThat(open("default")).isZero();
    }

    @Test
    void eachMeterHasADescriptionAndTheTagsThatItsConventionNames() {
        metrics.bindTo(registry);
        metrics.decided(TARGET, DIRECT, null);
        metrics.fellBack(TARGET, "timeout", DIRECT, null);
        metrics.ended(TARGET, DIRECT, new Outcome.Cancelled(), Duration.ZERO);
        metrics.serviceRequest("https://proxy-service", "success", "id", Duration.ZERO);
        metrics.feedback("accepted", 1);
        metrics.healthChecked("binance/http", ProxyUrl.parse("http://proxy:1"), "failed", Duration.ZERO);
        metrics.reloaded("applied");
        assertThat(registry.getMeters()).hasSize(8).allSatisfy(meter -> {
            ProxyMeters convention = Arrays.stream(ProxyMeters.values())
                    .filter(known -> known.getName().equals(meter.getId().getName()))
                    .findAny()
                    .orElseThrow();
            assertThat(meter.getId().getDescription()).isEqualTo(convention.description());
            assertThat(meter.getId().getType()).isEqualTo(convention.getType());
            assertThat(meter.getId().getTags())
                    .extracting(io.micrometer.core.instrument.Tag::getKey)
                    .containsExactlyInAnyOrderElementsOf(Arrays.stream(convention.getKeyNames())
                            .map(KeyName::asString)
                            .toList());
        });
    }

    @Test
    void theDocumentationHasEachMeterWithItsTypeAndTags() throws IOException {
        List<String> documented = Files.readAllLines(Path.of("../docs/monitoring/README.md")).stream()
                .filter(line -> line.startsWith("| `proxy."))
                .map(line -> line.substring(0, line.indexOf('|', line.indexOf('|', line.indexOf('|', 1) + 1) + 1) + 1))
                .toList();
        assertThat(documented)
                .containsExactlyInAnyOrderElementsOf(Arrays.stream(ProxyMeters.values())
                        .map(meter -> "| `%s` | %s | %s|"
                                .formatted(
                                        meter.getName(),
                                        meter.getType().name().toLowerCase(Locale.ROOT),
                                        Arrays.stream(meter.getKeyNames())
                                                .map(tag -> "`" + tag.asString() + "`")
                                                .collect(Collectors.joining(
                                                        ", ", "", meter.getKeyNames().length == 0 ? "" : " "))))
                        .toList());
    }
}
