package io.egressproxy.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.settings.CircuitBreakerSettings;
import io.egressproxy.settings.HealthCheckSettings;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Mono;
import reactor.test.scheduler.VirtualTimeScheduler;

@Tag("FR-3")
@Tag("TR-3")
class HealthMonitorTests {
    private static final ProxyTarget TARGET =
            new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, "api.binance.com", 443);

    private final VirtualTimeScheduler time = VirtualTimeScheduler.create();
    private final HealthMonitor monitor =
            new HealthMonitor(time, ProxyEventListener.NONE, () -> time.now(TimeUnit.NANOSECONDS), () -> 0.5);
    private final Set<String> dead = new HashSet<>();
    private final Set<String> silent = new HashSet<>();
    private final Set<String> broken = new HashSet<>();
    private final List<String> checked = new ArrayList<>();
    private final List<Long> startedAt = new ArrayList<>();
    private final AtomicInteger running = new AtomicInteger();
    private int mostRunning;
    private boolean thrower;
    private HealthCheck.Level level = HealthCheck.Level.HANDSHAKE;

    @AfterEach
    void close() {
        monitor.close();
    }

    private final HealthCheck check = new HealthCheck() {
        @Override
        public Mono<Void> check(Request request) {
            String host = request.proxy().host();
            checked.add(host);
            startedAt.add(time.now(TimeUnit.NANOSECONDS));
            if (broken.contains(host)) {
                throw new NoClassDefFoundError("of a library that is not there");
            }
            if (thrower) {
                throw new IllegalStateException("a check that throws");
            }
            mostRunning = Math.max(mostRunning, running.incrementAndGet());
            Mono<Void> result = silent.contains(host)
                    ? Mono.never()
                    : dead.contains(host) ? Mono.error(new IOException("dead")) : Mono.empty();
            return result.doFinally(signal -> running.decrementAndGet());
        }

        @Override
        public Level level() {
            return level;
        }
    };

    private ProxyPool pool(int size) {
        return pool(size, Duration.ofSeconds(30));
    }

    private ProxyPool pool(int size, Duration interval) {
        ProxyPool pool = newPool(0, size, interval);
        monitor.start(List.of(pool), method -> check);
        return pool;
    }

    private ProxyPool newPool(int first, int size, Duration interval) {
        return new ProxyPool(
                "binance/http",
                entry(IntStream.range(first, first + size), interval, null),
                name -> null,
                () -> time.now(TimeUnit.NANOSECONDS),
                () -> 0.5);
    }

    private static ProxyEntry entry(IntStream numbers, Duration interval, @Nullable Boolean checked) {
        return new ProxyEntry(
                null,
                20,
                false,
                null,
                numbers.mapToObj(i -> new PoolMember(ProxyUrl.parse("http://p" + i + ":1"), null, 1, true, null, null))
                        .toList(),
                null,
                "round_robin",
                3,
                Duration.ofSeconds(5),
                OnExhausted.FAIL,
                new HealthCheckSettings(checked, "own", null, "200-299", interval, Duration.ofSeconds(5), 2, 3),
                new CircuitBreakerSettings(true, 3, Duration.ofSeconds(5), Duration.ofMinutes(5), 50));
    }

    private static Set<String> usable(ProxyPool pool) {
        return IntStream.range(0, 50)
                .mapToObj(i -> pool.acquire(TARGET, List.of()))
                .filter(ProxyPool.Use.class::isInstance)
                .map(grant -> {
                    ((ProxyPool.Use) grant).close(new Outcome.Cancelled());
                    return ((ProxyPool.Use) grant).proxy().host();
                })
                .collect(Collectors.toCollection(TreeSet::new));
    }

    private void pass(int seconds) {
        time.advanceTimeBy(Duration.ofSeconds(seconds));
    }

    @Test
    void allMayBeUsedBeforeTheFirstResult() {
        dead.addAll(List.of("p0", "p1"));
        assertThat(usable(pool(3))).containsExactly("p0", "p1", "p2");
    }

    @Test
    void upToAHundredProxiesAreCheckedWithinTwoSecondsAndFiftyASecondThen() {
        pool(200);
        pass(3);
        assertThat(new HashSet<>(checked)).hasSizeBetween(95, 110);
        pass(2);
        assertThat(new HashSet<>(checked)).hasSize(200);
        pass(600);
        assertThat(checked.size() / 605.0).as("checks a second").isBetween(6.0, 8.0);
    }

    @Test
    void withMoreProxiesThanTheRateAllowsTheIntervalStretches() {
        pool(3_000, Duration.ofSeconds(10));
        pass(121);
        assertThat(checked.size() / 120.0).isBetween(49.0, 51.0);
        assertThat(new HashSet<>(checked)).hasSize(3_000);
    }

    @Test
    void atMostSixteenChecksRunAtOnceFourOfThemKeptForWhatIsUrgentAndEachEndsAtItsDeadline() {
        IntStream.range(0, 100).forEach(i -> silent.add("p" + i));
        pool(100);
        pass(60);
        assertThat(mostRunning).isEqualTo(12);
        assertThat(new HashSet<>(checked)).hasSize(100);
    }

    @Test
    void whatIsDueSoonIsCheckedAlongSoThatAnApplicationAtRestHardlyWakesUp() {
        pool(500, Duration.ofSeconds(10));
        pass(60);
        startedAt.clear();
        pass(60);
        Map<Long, Long> inATurn = startedAt.stream().collect(Collectors.groupingBy(at -> at, Collectors.counting()));
        assertThat(startedAt).hasSizeBetween(2_900, 3_000);
        assertThat(inATurn.values()).allMatch(checks -> checks <= 5);
        assertThat(inATurn).as("wake-ups in a minute").hasSizeLessThanOrEqualTo(610);
    }

    @Test
    void threeFailuresTakeAProxyOutAndTwoSuccessesBringItBack() {
        ProxyPool pool = pool(5);
        dead.add("p1");
        pass(10);
        assertThat(usable(pool)).contains("p1");
        pass(5);
        assertThat(usable(pool)).containsExactly("p0", "p2", "p3", "p4");
        dead.clear();
        pass(12);
        assertThat(usable(pool)).hasSize(5);
    }

    @Test
    void aProxyThatIsDownIsCheckedLessAndLessOften() {
        pool(5);
        dead.add("p1");
        pass(3_600);
        long checks = checked.stream().filter("p1"::equals).count();
        assertThat(checks)
                .as("three, then after 5, 10, 20, 40 s and each minute")
                .isBetween(58L, 68L);
    }

    @Test
    void aConnectionThatWorkedWithinTheIntervalCountsAsACheck() {
        ProxyPool pool = pool(5);
        pass(5);
        checked.clear();
        for (int i = 0; i < 60; i++) {
            for (int use = 0; use < 5; use++) {
                ((ProxyPool.Use) pool.acquire(TARGET, List.of())).established();
            }
            pass(5);
        }
        assertThat(checked).isEmpty();
    }

    @Test
    void whenNearlyAllFailAtOnceTheOwnNetworkIsSuspectedAndNobodyIsTakenOut() {
        ProxyPool pool = pool(5);
        pass(5);
        dead.addAll(List.of("p0", "p1", "p2", "p3", "p4"));
        pass(300);
        assertThat(monitor.isOwnNetworkSuspected()).isTrue();
        assertThat(usable(pool)).hasSize(5);
        dead.remove("p0");
        pass(120);
        assertThat(monitor.isOwnNetworkSuspected()).isFalse();
        assertThat(usable(pool))
                .as("one works, so the others are to blame themselves")
                .containsExactly("p0");
    }

    @Test
    void proxiesThatAreCheckedRarelySinceTheyAreDownCountForTheSuspicionToo() {
        pool(6);
        pass(5);
        dead.addAll(List.of("p0", "p1", "p2", "p3"));
        pass(600);
        assertThat(monitor.isOwnNetworkSuspected()).isFalse();
        dead.addAll(List.of("p4", "p5"));
        pass(31); // in which each of the two is checked, and fails
        assertThat(monitor.isOwnNetworkSuspected()).isTrue();
    }

    @Test
    void theOwnNetworkIsSuspectedAgainWhenTheOneThatWorkedFailsAsWell() {
        pool(6);
        pass(5);
        dead.addAll(List.of("p0", "p1", "p2", "p3", "p4"));
        pass(300);
        assertThat(monitor.isOwnNetworkSuspected()).as("one works").isFalse();
        dead.add("p5");
        pass(31);
        assertThat(monitor.isOwnNetworkSuspected()).as("none works").isTrue();
        dead.remove("p5");
        pass(31);
        assertThat(monitor.isOwnNetworkSuspected()).isFalse();
    }

    @Test
    void aConnectionFromBeforeTheSuspicionDoesNotShowThatTheNetworkWorks() {
        ProxyPool pool = pool(5);
        pass(20);
        dead.add("p4");
        pass(13);
        dead.clear();
        pass(7); // one failure, and its checks come at other times than those of the others
        dead.addAll(List.of("p0", "p1", "p2", "p3", "p4"));
        for (int second = 0; !monitor.isOwnNetworkSuspected(); second++) {
            assertThat(second).isLessThan(60);
            connectThrough(pool, "p4");
            pass(1);
        }
        checked.clear();
        for (int second = 0; second < 30; second++) {
            assertThat(monitor.isOwnNetworkSuspected())
                    .as("%s s later, checked meanwhile: %s", second, checked)
                    .isTrue();
            pass(1);
        }
        assertThat(checked).contains("p4");
    }

    private static void connectThrough(ProxyPool pool, String host) {
        for (int i = 0; i < 5; i++) {
            ProxyPool.Use connection = (ProxyPool.Use) pool.acquire(TARGET, List.of());
            if (connection.proxy().host().equals(host)) {
                connection.established();
            }
        }
    }

    private void fail(ProxyPool pool, String host, ConnectionStage stage) {
        for (int failures = 0; failures < 3; ) {
            ProxyPool.Use use = (ProxyPool.Use) pool.acquire(TARGET, List.of());
            boolean wanted = use.proxy().host().equals(host);
            use.close(wanted ? new Outcome.Failed(stage, Blame.PROXY, "failed") : new Outcome.Cancelled());
            failures += wanted ? stage == ConnectionStage.TCP ? 1 : 2 : 0;
        }
    }

    @Test
    void aCheckAndNoConnectionTriesAProxyThatItsBreakerHoldsDown() {
        ProxyPool pool = pool(5);
        pass(5);
        dead.add("p1");
        fail(pool, "p1", ConnectionStage.TCP);
        pass(4);
        assertThat(usable(pool))
                .as("its time is over, and it is dead")
                .hasSize(4)
                .doesNotContain("p1");
        dead.clear();
        pass(30);
        assertThat(usable(pool)).hasSize(5);
    }

    @Test
    void aCheckDoesNotHealWhatFailedAtAHigherLevel() {
        level = HealthCheck.Level.TCP;
        ProxyPool pool = pool(5);
        pass(5);
        fail(pool, "p1", ConnectionStage.HANDSHAKE);
        pass(3);
        assertThat(usable(pool)).doesNotContain("p1");
        pass(2);
        ProxyPool.Use probe = (ProxyPool.Use) pool.acquire(TARGET, List.of());
        assertThat(probe.proxy().host()).as("a connection has to try it").isEqualTo("p1");
    }

    @Test
    void whenAllAreOutTheyAreCheckedAtOnceAndNotMoreThanOnceASecond() {
        ProxyPool pool = pool(3, Duration.ofSeconds(300));
        dead.addAll(List.of("p0", "p1", "p2"));
        pass(40);
        assertThat(usable(pool)).isEmpty();
        pass(1);
        checked.clear();
        IntStream.range(0, 1_000).forEach(i -> pool.acquire(TARGET, List.of()));
        pass(1);
        assertThat(checked).hasSizeBetween(3, 6);
        dead.clear();
        for (int i = 0; i < 3; i++) {
            pool.acquire(TARGET, List.of());
            pass(2);
        }
        assertThat(usable(pool)).hasSize(3);
    }

    @Test
    void aCheckThatThrowsIsAFailedCheckAndGoesOn() {
        thrower = true;
        ProxyPool pool = pool(3);
        pass(60);
        assertThat(checked).hasSizeGreaterThan(9);
        assertThat(usable(pool)).isEmpty();
        thrower = false;
        pass(300);
        assertThat(usable(pool)).hasSize(3);
    }

    @Test
    void withoutChecksAProxyThatIsOutIsTriedWhenItsTimeIsOverAndNobodyLooksAtTheClockBefore() {
        AtomicInteger looks = new AtomicInteger();
        ProxyPool pool = new ProxyPool(
                "binance/http",
                entry(IntStream.range(0, 4), Duration.ofSeconds(30), false),
                name -> null,
                () -> {
                    looks.incrementAndGet();
                    return time.now(TimeUnit.NANOSECONDS);
                },
                () -> 0.5);
        monitor.start(List.of(pool), method -> check);
        fail(pool, "p1", ConnectionStage.TCP);
        assertThat(usable(pool)).containsExactly("p0", "p2", "p3");
        looks.set(0);
        time.advanceTimeBy(Duration.ofSeconds(2));
        assertThat(usable(pool)).containsExactly("p0", "p2", "p3");
        assertThat(looks).as("looks at the clock").hasValue(0);
        time.advanceTimeBy(Duration.ofSeconds(4)); // of five, less or more by chance
        assertThat(((ProxyPool.Use) pool.acquire(TARGET, List.of())).proxy().host())
                .isEqualTo("p1");
        monitor.close();
        fail(pool, "p2", ConnectionStage.TCP);
        time.advanceTimeBy(Duration.ofSeconds(10));
        assertThat(usable(pool)).as("with nobody to tell when").contains("p2");
    }

    @Test
    @Tag("no-interruption")
    void aCheckThatTheClassPathBreaksTakesNoOtherWithIt() {
        broken.add("p0");
        broken.add("p7");
        pool(60);
        pass(120);
        for (int i = 0; i < 60; i++) {
            assertThat(Collections.frequency(checked, "p" + i))
                    .as("checks of p" + i)
                    .isGreaterThanOrEqualTo(3);
        }
    }

    @Test
    void whatIsUrgentDoesNotWaitForTheTurnOfOthers() {
        ProxyPool busy = newPool(0, 500, Duration.ofSeconds(10));
        ProxyPool lone = newPool(500, 1, Duration.ofSeconds(300));
        monitor.start(List.of(busy, lone), method -> check);
        dead.add("p500");
        pass(40);
        for (int i = 0; i < 50; i++) {
            time.advanceTimeBy(Duration.ofMillis(1_200 + 7 * i)); // it is asked for once a second at most
            checked.clear();
            lone.acquire(TARGET, List.of());
            time.advanceTimeBy(Duration.ofMillis(21));
            assertThat(checked).as("round " + i).contains("p500");
        }
        startedAt.clear();
        pass(60);
        assertThat(startedAt).as("the pace is kept").hasSizeLessThan(3_060);
    }

    @Test
    void aShortIntervalIsNotMuchShortenedByWhatIsCheckedAlong() {
        ProxyPool busy = newPool(0, 300, Duration.ofSeconds(10));
        ProxyPool lone = newPool(300, 1, Duration.ofSeconds(1));
        monitor.start(List.of(busy, lone), method -> check);
        pass(60);
        List<Long> starts = new ArrayList<>();
        for (int i = 0; i < checked.size(); i++) {
            if (checked.get(i).equals("p300")) {
                starts.add(startedAt.get(i));
            }
        }
        assertThat(starts).hasSizeGreaterThan(40);
        for (int i = 1; i < starts.size(); i++) {
            assertThat(starts.get(i) - starts.get(i - 1))
                    .isGreaterThanOrEqualTo(Duration.ofMillis(950).toNanos());
        }
    }

    @Test
    void aSuccessFromBeforeAFailureHealsNothing() {
        ProxyPool pool = pool(5);
        pass(5);
        for (int use = 0; use < 5; use++) {
            ((ProxyPool.Use) pool.acquire(TARGET, List.of())).established();
        }
        dead.add("p1");
        pass(1);
        fail(pool, "p1", ConnectionStage.TCP);
        checked.clear();
        pass(6);
        assertThat(checked).contains("p1");
        assertThat(usable(pool)).doesNotContain("p1");
    }

    @Test
    void aBreakerThatOpensDuringACheckIsLookedAtWhenItsTimeIsOver() {
        ProxyPool pool = pool(5);
        pass(5);
        dead.add("p1");
        pass(30);
        fail(pool, "p1", ConnectionStage.TCP);
        dead.clear();
        pass(16);
        assertThat(usable(pool)).hasSize(5);
    }

    @Test
    void aMethodThatDoesNotExistIsRefused() {
        ProxyPool pool = pool(2);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> monitor.start(List.of(pool), method -> null))
                .withMessageContaining("no health check 'own': use handshake, tcp, http, ping");
    }

    @Test
    void whenOneOfAnExhaustedPoolIsBackTheOthersAreCheckedAtOnce() {
        ProxyPool pool = pool(3);
        dead.addAll(List.of("p0", "p1", "p2"));
        for (int i = 0; i < 300; i++) { // connections ask for it each second
            pass(1);
            usable(pool);
        }
        assertThat(usable(pool)).isEmpty();
        dead.clear();
        pass(1);
        usable(pool);
        pass(10);
        assertThat(usable(pool)).as("not a minute later").containsExactly("p0", "p1", "p2");
    }

    @Test
    @Tag("NFR-3")
    void afterAReloadNewProxiesAreCheckedThoseThatStayKeepTheirVerdictAndThoseThatHaveGoneAreLeftAlone() {
        ProxyPool pool = pool(4);
        dead.add("p1");
        pass(20);
        assertThat(usable(pool)).containsExactly("p0", "p2", "p3");
        dead.add("p9");
        pool.prepare(entry(IntStream.of(1, 2, 3, 8, 9), Duration.ofSeconds(30), null), name -> null)
                .run();
        monitor.update(List.of(pool), method -> check);
        checked.clear();
        pass(3);
        assertThat(checked).contains("p8", "p9").doesNotContain("p0");
        assertThat(usable(pool)).as("down as before").doesNotContain("p1");
        pass(60);
        assertThat(usable(pool)).containsExactly("p2", "p3", "p8");
        dead.clear();
        pass(90);
        assertThat(usable(pool)).containsExactly("p1", "p2", "p3", "p8", "p9");
        assertThat(checked).doesNotContain("p0");
    }

    @Test
    @Tag("NFR-3")
    void whenChecksAreSwitchedOffNothingIsHeldDownAndNothingIsChecked() {
        ProxyPool pool = pool(2);
        dead.add("p1");
        pass(20);
        assertThat(usable(pool)).containsExactly("p0");
        pool.prepare(entry(IntStream.range(0, 2), Duration.ofSeconds(30), false), name -> null)
                .run();
        monitor.update(List.of(pool), method -> check);
        checked.clear();
        pass(120);
        assertThat(checked).isEmpty();
        assertThat(usable(pool)).containsExactly("p0", "p1");
        pool.prepare(entry(IntStream.range(0, 2), Duration.ofSeconds(30), true), name -> null)
                .run();
        monitor.update(List.of(pool), method -> check);
        pass(20);
        assertThat(usable(pool)).containsExactly("p0");
    }

    @Test
    @Tag("NFR-3")
    void aShorterIntervalHoldsFromTheReloadOn() {
        ProxyPool pool = pool(2, Duration.ofHours(1));
        pass(10);
        pool.prepare(entry(IntStream.range(0, 2), Duration.ofSeconds(5), null), name -> null)
                .run();
        monitor.update(List.of(pool), method -> check);
        checked.clear();
        pass(60);
        assertThat(checked).hasSizeBetween(20, 26);
    }

    @Test
    @Tag("NFR-3")
    void withoutChecksTheOwnNetworkIsNotSuspectedAnyMore() {
        ProxyPool pool = pool(5);
        IntStream.range(0, 5).forEach(i -> dead.add("p" + i));
        pass(10);
        assertThat(monitor.isOwnNetworkSuspected()).isTrue();
        pool.prepare(entry(IntStream.range(0, 5), Duration.ofSeconds(30), false), name -> null)
                .run();
        monitor.update(List.of(pool), method -> check);
        assertThat(monitor.isOwnNetworkSuspected()).isFalse();
    }
}
