package io.egressproxy.pool;

import static org.assertj.core.api.Assertions.assertThat;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool.Exhausted;
import io.egressproxy.settings.CircuitBreakerSettings;
import io.egressproxy.settings.HealthCheckSettings;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

/** Minutes of traffic through pools with their checks and all defaults, in virtual time: no connection fails while a proxy works. */
@Tag("FR-3")
@Tag("no-interruption")
class PoolSimulationTests {
    private static final ProxyTarget TARGET = target("api.binance.com");
    private static final ProxyTarget DOWN = target("down.example.org");
    private static final Outcome WORKED = new Outcome.Succeeded(Duration.ofMillis(5));

    private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
    private final HealthMonitor monitor = new HealthMonitor(time, ProxyEventListener.NONE, this::nanos, () -> 0.5);
    private final Set<String> refusing = new HashSet<>();
    private final Set<String> silent = new HashSet<>();
    private final List<String> checked = new ArrayList<>();
    private final Map<Exhausted, Integer> failed = new EnumMap<>(Exhausted.class);
    private HealthCheck.Level checkLevel = HealthCheck.Level.HANDSHAKE;
    private int served;

    private long nanos() {
        return time.now(TimeUnit.NANOSECONDS);
    }

    private static ProxyTarget target(String host) {
        return new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, host, 443);
    }

    private ProxyPool pool(String prefix, int size, OnExhausted onExhausted) {
        ProxyEntry entry = new ProxyEntry(
                null,
                null,
                false,
                null,
                IntStream.range(0, size)
                        .mapToObj(i -> new PoolMember(
                                ProxyUrl.parse("http://" + prefix + i + ":1"), null, 1, true, null, null))
                        .toList(),
                null,
                "round_robin",
                3,
                Duration.ofSeconds(5),
                onExhausted,
                new HealthCheckSettings(
                        null, "own", null, "200-299", Duration.ofSeconds(30), Duration.ofSeconds(5), 2, 3),
                new CircuitBreakerSettings(true, 3, Duration.ofSeconds(5), Duration.ofMinutes(5), 50));
        return new ProxyPool("binance/http", entry, name -> null, this::nanos, () -> 0.5);
    }

    private ProxyPool pool(int size) {
        return pool("p", size, OnExhausted.LAST_RESORT);
    }

    private void checked(ProxyPool... pools) {
        monitor.start(List.of(pools), method -> method.equals("own") ? check(checkLevel) : null);
        pass(3);
    }

    private HealthCheck check(HealthCheck.Level level) {
        return new HealthCheck() {
            @Override
            public Mono<Void> check(Request request) {
                String host = request.proxy().host();
                checked.add(host);
                if (silent.contains(host)) {
                    return Mono.never();
                }
                return refusing.contains(host) ? Mono.error(new IOException("refused")) : Mono.empty();
            }

            @Override
            public Level level() {
                return level;
            }
        };
    }

    private void pass(long seconds) {
        time.advanceTimeBy(Duration.ofSeconds(seconds));
    }

    /** One connection with all its attempts. */
    private void connect(ProxyPool pool, ProxyTarget target, List<ProxyUrl> tried) {
        ProxyPool.Grant grant = pool.acquire(target, tried);
        if (grant instanceof ProxyPool.Grant.None none) {
            if (target != DOWN) {
                failed.merge(none.reason(), 1, Integer::sum);
            }
            return;
        }
        ProxyPool.Use use = (ProxyPool.Use) grant;
        List<ProxyUrl> next = new ArrayList<>(tried);
        next.add(use.proxy());
        String host = use.proxy().host();
        if (silent.contains(host)) {
            after(
                    use.decision(ProxyDecision.Source.EXCHANGE).timeout(),
                    () -> goOn(pool, target, next, use, ConnectionStage.HANDSHAKE, Blame.PROXY));
        } else if (refusing.contains(host)) {
            goOn(pool, target, next, use, ConnectionStage.TCP, Blame.PROXY);
        } else if (target == DOWN) {
            goOn(pool, target, next, use, ConnectionStage.HANDSHAKE, Blame.AMBIGUOUS);
        } else {
            served++;
            use.established();
            after(Duration.ofMillis(5), () -> use.close(WORKED));
        }
    }

    private void goOn(
            ProxyPool pool,
            ProxyTarget target,
            List<ProxyUrl> tried,
            ProxyPool.Use use,
            ConnectionStage stage,
            Blame blame) {
        use.close(new Outcome.Failed(stage, blame, "failed"));
        connect(pool, target, tried);
    }

    private void after(Duration delay, Runnable task) {
        time.schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS);
    }

    private void load(ProxyPool pool, ProxyTarget target, int perSecond, int seconds) {
        for (int i = 0; i < perSecond * seconds; i++) {
            after(Duration.ofMillis(i * 1_000L / perSecond), () -> connect(pool, target, List.of()));
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 2, 200", "1, 3, 500", "2, 5, 500"})
    void frozenProxiesFailNoConnection(int frozen, int size, int perSecond) {
        ProxyPool pool = pool(size);
        checked(pool);
        IntStream.range(0, frozen).forEach(i -> silent.add("p" + i));
        load(pool, TARGET, perSecond, 60);
        pass(120);
        assertThat(failed).isEmpty();
        assertThat(served).isEqualTo(perSecond * 60);
    }

    @ParameterizedTest
    @CsvSource({"1, 2, true", "2, 3, true", "2, 3, false", "2, 5, true"})
    void refusingProxiesFailNoConnection(int dead, int size, boolean withChecks) {
        ProxyPool pool = pool(size);
        if (withChecks) {
            checked(pool);
        }
        IntStream.range(0, dead).forEach(i -> refusing.add("p" + i));
        load(pool, TARGET, 200, 60);
        pass(120);
        assertThat(failed).isEmpty();
        assertThat(served).isEqualTo(12_000);
    }

    @Test
    void moreDeadProxiesThanAttemptsFailOnlyTheFirstConnections() {
        ProxyPool pool = pool(5);
        checked(pool);
        IntStream.range(0, 4).forEach(i -> refusing.add("p" + i));
        load(pool, TARGET, 200, 90);
        pass(150);
        assertThat(failed.keySet()).isSubsetOf(Exhausted.ATTEMPTS);
        assertThat(failed.getOrDefault(Exhausted.ATTEMPTS, 0)).isLessThan(10);
    }

    @Test
    void aTargetThatIsDownTakesNothingFromTheOthers() {
        ProxyPool pool = pool(5);
        checked(pool);
        load(pool, DOWN, 20, 60);
        pass(20);
        silent.add("p0");
        load(pool, TARGET, 20, 30);
        pass(60);
        assertThat(failed).isEmpty();
        assertThat(served).isEqualTo(600);
    }

    @ParameterizedTest
    @ValueSource(strings = {"LAST_RESORT", "FAIL"})
    void whenTheLastUsableProxyDiesOneThatIsWellAgainServesWithinSeconds(String onExhausted) {
        ProxyPool pool = pool("p", 2, OnExhausted.valueOf(onExhausted));
        checked(pool);
        refusing.add("p0");
        pass(190); // and is checked once a minute only
        refusing.remove("p0");
        refusing.add("p1");
        load(pool, TARGET, 20, 60);
        pass(80);
        assertThat(failed.values().stream().mapToInt(Integer::intValue).sum()).isLessThanOrEqualTo(2 * 20);
        assertThat(served).isGreaterThanOrEqualTo(58 * 20);
    }

    @ParameterizedTest
    @ValueSource(ints = {1_000, 2_000})
    void anExhaustedPoolRecoversThoughAnotherHasMoreProxiesThanCanBeChecked(int others) {
        ProxyPool large = pool("other", others, OnExhausted.LAST_RESORT);
        ProxyPool pool = pool(3);
        IntStream.range(0, others / 2).forEach(i -> silent.add("other" + i));
        checked(large, pool);
        pass(200);
        refusing.addAll(List.of("p0", "p1", "p2"));
        pass(600);
        refusing.clear();
        load(pool, TARGET, 20, 60);
        pass(80);
        assertThat(failed.values().stream().mapToInt(Integer::intValue).sum()).isLessThanOrEqualTo(3 * 20);
        assertThat(served).isGreaterThanOrEqualTo(57 * 20);
    }

    @Test
    void aLargePoolThatIsExhaustedDoesNotKeepAnotherFromItsChecks() {
        ProxyPool large = pool("other", 2_000, OnExhausted.LAST_RESORT);
        ProxyPool pool = pool(4);
        checked(large, pool);
        refusing.add("p0");
        pass(200);
        assertThat(pool.members()).filteredOn(PooledProxy::isUsable).hasSize(3);
        large.members().forEach(proxy -> large.checkFailed(proxy, true, "refused"));
        IntStream.range(0, 2_000).forEach(i -> refusing.add("other" + i));
        load(large, TARGET, 5, 300); // and so asks for a round of checks each second
        pass(60);
        refusing.remove("p0");
        pass(180);
        assertThat(pool.members()).filteredOn(PooledProxy::isUsable).hasSize(4);
    }

    @Test
    void aProxyThatCutsTunnelsCostsAConnectionLessAndLessOften() {
        ProxyPool pool = pool(3);
        checked(pool);
        List<Long> lostAt = new ArrayList<>();
        for (int i = 0; i < 1_200; i++) {
            ProxyPool.Use use = (ProxyPool.Use) pool.acquire(target("target" + i % 20), List.of());
            if (use.proxy().host().equals("p0")) {
                lostAt.add(time.now(TimeUnit.SECONDS));
                use.close(new Outcome.Failed(ConnectionStage.TUNNEL, Blame.AMBIGUOUS, "cut"));
            } else {
                use.established();
                use.close(WORKED);
            }
            time.advanceTimeBy(Duration.ofMillis(500));
        }
        assertThat(lostAt).as("in ten minutes").hasSizeLessThan(20);
        assertThat(lostAt.stream().filter(at -> at > 300)).hasSizeLessThanOrEqualTo(2);
    }

    @ParameterizedTest
    @ValueSource(strings = {"TCP", "HANDSHAKE"})
    void aProxyThatAWeakCheckCannotHealIsNotCheckedWithoutPause(String level) {
        checkLevel = HealthCheck.Level.valueOf(level);
        ProxyPool pool = pool(3);
        checked(pool);
        ((ProxyPool.Use) pool.acquire(TARGET, List.of()))
                .close(new Outcome.Failed(ConnectionStage.HANDSHAKE, Blame.CREDENTIALS, "407"));
        checked.clear();
        pass(60);
        assertThat(checked).filteredOn("p0"::equals).hasSizeLessThan(10);
    }

    @Test
    void whatRefusesATargetUntilLaterIsLeftInPeaceEvenAsTheLastResort() {
        ProxyPool pool = pool(1);
        Outcome tooMany =
                new Outcome.Failed(ConnectionStage.HANDSHAKE, Blame.POLICY, "429", Duration.ofMinutes(5), false);
        ((ProxyPool.Use) pool.acquire(TARGET, List.of())).close(tooMany);
        load(pool, TARGET, 1, 290);
        pass(290);
        assertThat(served).isZero();
        load(pool, TARGET, 1, 60);
        pass(60);
        assertThat(served).isGreaterThan(45);
    }
}
