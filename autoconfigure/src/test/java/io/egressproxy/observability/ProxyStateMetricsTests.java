package io.egressproxy.observability;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.HealthMonitor;
import io.egressproxy.pool.ProxyPool;
import io.egressproxy.pool.ProxyPool.Use;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import io.egressproxy.settings.ProxySettingsBinder;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.springframework.core.env.MapPropertySource;
import org.springframework.core.env.StandardEnvironment;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

@Tag("NFR-3")
class ProxyStateMetricsTests {
    private static final ProxyTarget TARGET = ProxyTarget.of(ExchangeId.of("binance"), ConnectionType.HTTP);

    private final MeterRegistry registry = new SimpleMeterRegistry();
    private final List<ProxyPool> pools = new ArrayList<>();
    private final HealthMonitor monitor = new HealthMonitor(VirtualTimeScheduler.create(), ProxyEventListener.NONE);
    private @Nullable Boolean serviceAvailable = true;
    private final ProxyStateMetrics metrics = new ProxyStateMetrics(() -> pools, () -> monitor, () -> serviceAvailable);

    @AfterEach
    void close() {
        monitor.close();
    }

    private static ProxyEntry entry(List<String> urls) {
        StandardEnvironment environment = new StandardEnvironment();
        environment
                .getPropertySources()
                .addFirst(new MapPropertySource(
                        "test",
                        Map.of("proxy.enabled", "true", "proxy.default.http.pool[0].url", "http://placeholder:1")));
        ProxyEntry template = Objects.requireNonNull(
                ProxySettingsBinder.bind(environment).defaults().entry(ConnectionType.HTTP));
        return new ProxyEntry(
                null,
                null,
                false,
                null,
                urls.stream()
                        .map(url -> new PoolMember(ProxyUrl.parse(url), null, 1, true, null, null))
                        .toList(),
                null,
                template.strategy(),
                template.maxAttempts(),
                template.attemptTimeout(),
                template.onExhausted(),
                template.healthCheck(),
                template.circuitBreaker());
    }

    private static ProxyPool pool(String name, List<String> urls) {
        return new ProxyPool(name, entry(urls), none -> null);
    }

    private double gauge(ProxyMeters meter, String... tags) {
        return registry.get(meter.getName()).tags(tags).gauge().value();
    }

    @Test
    void aPoolIsSeenByTheStatesOfItsProxies() {
        ProxyPool pool = pool("binance/http", List.of("http://a:1", "http://b:1", "http://c:1"));
        pools.add(pool);
        metrics.bindTo(registry);
        pool.drain(url -> url.host().equals("b"), "maintenance", null);
        assertThat(gauge(ProxyMeters.POOL_PROXIES, "pool", "binance/http", "state", "up"))
                .isEqualTo(2);
        assertThat(gauge(ProxyMeters.POOL_PROXIES, "pool", "binance/http", "state", "drained"))
                .isEqualTo(1);
        assertThat(gauge(ProxyMeters.MEMBER_UP, "proxy", "http://b:1")).isZero();
        assertThat(gauge(ProxyMeters.MEMBER_UP, "proxy", "http://a:1")).isEqualTo(1);
    }

    @Test
    void aProxyIsSeenByItsConnections() {
        ProxyPool pool = pool("binance/http", List.of("http://user:password@a:1"));
        pools.add(pool);
        metrics.bindTo(registry);
        Use first = (Use) pool.acquire(TARGET, List.of());
        Use second = (Use) pool.acquire(TARGET, List.of());
        first.close(new Outcome.Succeeded(Duration.ofMillis(1)));
        assertThat(gauge(ProxyMeters.MEMBER_CONNECTIONS_ACTIVE, "proxy", "http://a:1"))
                .isEqualTo(1);
        assertThat(registry.get(ProxyMeters.MEMBER_CONNECTIONS.getName())
                        .tags("proxy", "http://a:1", "outcome", "succeeded")
                        .functionCounter()
                        .count())
                .isEqualTo(1);
        second.close(new Outcome.Cancelled());
        assertThat(gauge(ProxyMeters.MEMBER_CONNECTIONS_ACTIVE, "proxy", "http://a:1"))
                .isZero();
    }

    @Test
    void onlyTheFirstHundredProxiesHaveMetersOfTheirOwn() {
        pools.add(pool(
                "a/http",
                IntStream.range(0, 80).mapToObj(i -> "http://a" + i + ":1").toList()));
        pools.add(pool(
                "b/http",
                IntStream.range(0, 80).mapToObj(i -> "http://b" + i + ":1").toList()));
        metrics.bindTo(registry);
        assertThat(registry.find(ProxyMeters.MEMBER_UP.getName()).meters()).hasSize(100);
        assertThat(gauge(ProxyMeters.POOL_PROXIES, "pool", "b/http", "state", "up"))
                .as("pools are seen whole")
                .isEqualTo(80);
    }

    @Test
    void twoUsersOfOneProxyAreTwoProxies() {
        pools.add(pool("a/http", List.of("http://one:secret@a:1", "http://two:secret@a:1")));
        metrics.bindTo(registry);
        assertThat(registry.find(ProxyMeters.MEMBER_UP.getName()).meters())
                .extracting(meter -> meter.getId().getTag("proxy"))
                .containsExactlyInAnyOrder("http://a:1", "http://a:1#1");
    }

    @Test
    void aReloadTakesTheMetersOfWhatHasGone() {
        pools.add(pool("a/http", List.of("http://a:1")));
        metrics.bindTo(registry);
        pools.set(0, pool("b/http", List.of("http://b:1")));
        serviceAvailable = null;
        metrics.reloaded("applied");
        assertThat(registry.getMeters())
                .extracting(meter -> meter.getId().getTag("pool"))
                .doesNotContain("a/http")
                .contains("b/http");
        assertThat(registry.find(ProxyMeters.SERVICE_AVAILABLE.getName()).meters())
                .isEmpty();
        for (int i = 0; i < 50; i++) {
            metrics.reloaded("applied");
        }
        assertThat(registry.getMeters())
                .extracting(Meter::getId)
                .doesNotHaveDuplicates()
                .hasSizeLessThan(20);
    }

    @Test
    void theIntervalOfChecksIsSeenAsItIs() {
        ProxyPool pool = pool(
                "big/http",
                IntStream.range(0, 3_000).mapToObj(i -> "http://p" + i + ":1").toList());
        pools.add(pool);
        monitor.start(pools, method -> request -> Mono.empty());
        metrics.bindTo(registry);
        assertThat(registry.get(ProxyMeters.HEALTH_INTERVAL.getName())
                        .timeGauge()
                        .value(TimeUnit.SECONDS))
                .as("3 000 proxies at 50 checks a second, instead of the 30 s configured")
                .isEqualTo(60);
        assertThat(gauge(ProxyMeters.HEALTH_FROZEN)).isZero();
    }

    @Test
    void anUnavailableServiceIsSeen() {
        metrics.bindTo(registry);
        assertThat(gauge(ProxyMeters.SERVICE_AVAILABLE)).isEqualTo(1);
        serviceAvailable = false;
        assertThat(gauge(ProxyMeters.SERVICE_AVAILABLE)).isZero();
    }

    @Test
    void aCounterThatStaysGoesOnCountingOverReloads() {
        ProxyPool pool = pool("a/http", List.of("http://a:1"));
        pools.add(pool);
        metrics.bindTo(registry);
        FunctionCounter before = registry.get(ProxyMeters.MEMBER_CONNECTIONS.getName())
                .tag("outcome", "succeeded")
                .functionCounter();
        metrics.reloaded("rejected");
        metrics.reloaded("unchanged");
        metrics.reloaded("applied");
        assertThat(registry.get(ProxyMeters.MEMBER_CONNECTIONS.getName())
                        .tag("outcome", "succeeded")
                        .functionCounter())
                .isSameAs(before);
        pool.prepare(entry(List.of("http://user:other@a:1")), none -> null).run();
        metrics.reloaded("applied");
        assertThat(registry.get(ProxyMeters.MEMBER_CONNECTIONS.getName())
                        .tag("outcome", "succeeded")
                        .functionCounter())
                .as("another generation")
                .isNotSameAs(before);
    }
}
