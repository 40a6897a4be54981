package io.egressproxy.pool;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;
import io.egressproxy.HealthCheck;
import io.egressproxy.Outcome;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxySelectionStrategy;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import io.egressproxy.pool.ProxyPool.Member;
import io.egressproxy.pool.ProxyPool.MemberState;
import io.egressproxy.settings.CircuitBreakerSettings;
import io.egressproxy.settings.OnExhausted;
import io.egressproxy.settings.PoolMember;
import io.egressproxy.settings.ProxyEntry;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Predicate;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.RepetitionInfo;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.springframework.test.util.ReflectionTestUtils;

@Tag("FR-2")
@Tag("TR-2")
class ProxyPoolTests {
    private static final Outcome SUCCESS = new Outcome.Succeeded(Duration.ofMillis(5));
    private static final Outcome REFUSED = failure(ConnectionStage.TCP, Blame.PROXY);
    private static final Outcome SILENT = failure(ConnectionStage.HANDSHAKE, Blame.PROXY);
    private static final Outcome CREDENTIALS = failure(ConnectionStage.HANDSHAKE, Blame.CREDENTIALS);
    private static final Outcome AMBIGUOUS = failure(ConnectionStage.HANDSHAKE, Blame.AMBIGUOUS);
    private static final List<Outcome> OUTCOMES = List.of(
            REFUSED,
            REFUSED,
            SILENT,
            CREDENTIALS,
            AMBIGUOUS,
            SUCCESS,
            new Outcome.Cancelled(),
            failure(ConnectionStage.HANDSHAKE, Blame.CONFIGURATION),
            failure(ConnectionStage.HANDSHAKE, Blame.POLICY),
            failure(ConnectionStage.TCP, Blame.LOCAL));
    private static final ProxyTarget TARGET = target("api.binance.com");

    private final AtomicLong now = new AtomicLong(Long.MAX_VALUE - 1_000); // the monotonic clock may overflow

    private static Outcome failure(ConnectionStage stage, Blame blame) {
        return new Outcome.Failed(stage, blame, "failed");
    }

    private static ProxyTarget target(String host) {
        return new ProxyTarget(ExchangeId.of("binance"), ConnectionType.HTTP, host, 443);
    }

    private static PoolMember member(int i, double weight) {
        return new PoolMember(ProxyUrl.parse("http://p" + i + ":1"), null, weight, true, null, null);
    }

    private static List<PoolMember> members(int size) {
        return IntStream.range(0, size).mapToObj(i -> member(i, 1)).toList();
    }

    private static ProxyEntry entry(String strategy, OnExhausted onExhausted, List<PoolMember> members) {
        ProxyEntry one = ProxyEntry.directly();
        return new ProxyEntry(
                null,
                20,
                false,
                null,
                members,
                null,
                strategy,
                3,
                Duration.ofSeconds(5),
                onExhausted,
                one.healthCheck(),
                new CircuitBreakerSettings(true, 3, Duration.ofSeconds(5), Duration.ofMinutes(5), 50));
    }

    private ProxyPool pool(ProxyEntry entry) {
        return new ProxyPool("binance/http", entry, name -> null, now::get, () -> 0.5);
    }

    private ProxyPool pool(String strategy, int size) {
        return pool(entry(strategy, OnExhausted.LAST_RESORT, members(size)));
    }

    private static ProxyPool.Use use(ProxyPool pool, ProxyTarget target) {
        return (ProxyPool.Use) pool.acquire(target, List.of());
    }

    private static ProxyPool.Use use(ProxyPool pool, ProxyUrl... tried) {
        return (ProxyPool.Use) pool.acquire(TARGET, List.of(tried));
    }

    private static List<String> hosts(ProxyPool pool, int count) {
        List<String> hosts = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            ProxyPool.Use use = use(pool);
            hosts.add(use.proxy().host());
            use.close(SUCCESS);
        }
        return hosts;
    }

    private void pass(Duration time) {
        now.addAndGet(time.toNanos());
    }

    /** Lets a proxy fail until it has had so many outcomes of this kind; others succeed. */
    private static void let(ProxyPool pool, String host, Outcome outcome, int times) {
        int left = times;
        for (int i = 0; left > 0; i++) {
            assertThat(i).as("%s is not selected any more", host).isLessThan(100);
            ProxyPool.Use use = use(pool);
            boolean wanted = use.proxy().host().equals(host);
            use.close(wanted ? outcome : SUCCESS);
            left -= wanted ? 1 : 0;
        }
    }

    /** A change of one proxy changes what connections may take by this one alone, without looking at the others. */
    @RepeatedTest(300)
    void whateverHappensConnectionsMayTakeWhatIsUsableInTheOrderOfTheList(RepetitionInfo repetition) {
        Random random = new Random(repetition.getCurrentRepetition());
        HealthCheck.Level[] levels = HealthCheck.Level.values();
        OnExhausted[] policies = OnExhausted.values();
        ProxyPool pool =
                pool(entry("round_robin", policies[random.nextInt(policies.length)], members(1 + random.nextInt(6))));
        if (random.nextBoolean()) {
            pool.checkedBy(levels[random.nextInt(levels.length)], ProxyPool.CheckRequests.NONE);
        }
        Set<PooledProxy> ever = new LinkedHashSet<>();
        List<ProxyPool.Use> open = new ArrayList<>();
        for (int step = 0; step < 100; step++) {
            ever.addAll(pool.members());
            PooledProxy one = any(random, List.copyOf(random.nextInt(5) == 0 ? ever : pool.members()));
            int what = random.nextInt(12);
            switch (what) {
                case 0 -> pool.checkFailed(one, random.nextBoolean(), "failed");
                case 1, 2 -> pool.checkSucceeded(one, levels[random.nextInt(levels.length)], random.nextBoolean());
                case 3 -> pool.drain(one.url()::equals, "for a while", random.nextBoolean() ? null : seconds(random));
                case 4 -> pool.resume(one.url()::equals);
                case 5 -> pass(seconds(random));
                case 6 -> {
                    List<PoolMember> others = new ArrayList<>(IntStream.range(0, 7)
                            .mapToObj(i -> member(i, 1 + random.nextInt(2)))
                            .toList());
                    Collections.shuffle(others, random);
                    pool.prepare(
                                    entry("round_robin", OnExhausted.FAIL, others.subList(0, 1 + random.nextInt(7))),
                                    name -> null)
                            .run();
                }
                case 7 -> {
                    if (random.nextInt(10) == 0) {
                        pool.unchecked();
                    }
                }
                default -> {
                    if (pool.acquire(TARGET, List.of()) instanceof ProxyPool.Use use) {
                        open.add(use);
                    }
                    if (!open.isEmpty() && random.nextInt(3) > 0) {
                        open.remove(random.nextInt(open.size())).close(any(random, OUTCOMES));
                    }
                }
            }
            String after = "after step " + step + ", " + what;
            assertThat(snapshot(pool, "usable")).as(after).isEqualTo(which(pool, PooledProxy::isUsable));
            assertThat(snapshot(pool, "spares")).as(after).isEqualTo(which(pool, PooledProxy::isSpare));
        }
    }

    private static <T> T any(Random random, List<T> of) {
        return of.get(random.nextInt(of.size()));
    }

    private static Duration seconds(Random random) {
        return Duration.ofSeconds(1 + random.nextInt(20));
    }

    private static List<String> which(ProxyPool pool, Predicate<PooledProxy> state) {
        return pool.members().stream()
                .filter(state)
                .map(proxy -> proxy.url().host())
                .toList();
    }

    private static List<String> snapshot(ProxyPool pool, String field) {
        PoolSnapshot snapshot = (PoolSnapshot) ReflectionTestUtils.getField(pool, field);
        return IntStream.range(0, snapshot.size())
                .mapToObj(i -> snapshot.get(i).url().host())
                .toList();
    }

    @Test
    @Tag("no-interruption")
    void aTrialThatEndsAfterTheProxyIsBackByAnotherConnectionChangesNothing() {
        ProxyPool pool = pool("round_robin", 3);
        ProxyPool.Use old = use(pool);
        assertThat(old.proxy().host()).isEqualTo("p0");
        let(pool, "p0", REFUSED, 3);
        pass(Duration.ofSeconds(10));
        ProxyPool.Use trial = use(pool);
        assertThat(trial.proxy().host()).isEqualTo("p0");
        old.close(SUCCESS);
        trial.close(AMBIGUOUS);
        pass(Duration.ofSeconds(10)); // in which others are preferred for this target
        int failed = 0;
        for (int i = 0; i < 300; i++) { // and now it is dead
            ProxyPool.Use use = use(pool);
            boolean dead = use.proxy().host().equals("p0");
            failed += dead ? 1 : 0;
            use.close(dead ? REFUSED : SUCCESS);
        }
        assertThat(failed).isEqualTo(3);
    }

    @ParameterizedTest
    @EnumSource(
            value = OnExhausted.class,
            names = {"FAIL", "LAST_RESORT"})
    @Tag("no-interruption")
    void whatNoCheckSeesAndWasDownBesidesIsTriedAgainWhenItsChecksPass(OnExhausted onExhausted) {
        ProxyPool pool = pool(entry("round_robin", onExhausted, members(2)));
        pool.checkedBy(HealthCheck.Level.HANDSHAKE, ProxyPool.CheckRequests.NONE);
        PooledProxy second = pool.members().get(1);
        let(pool, "p1", failure(ConnectionStage.HANDSHAKE, Blame.CONFIGURATION), 1);
        pool.checkFailed(second, true, "down");
        pass(Duration.ofMinutes(2));
        pool.checkSucceeded(second, HealthCheck.Level.HANDSHAKE, true);
        assertThat(hosts(pool, 10)).contains("p1");
        assertThat(pool.states().get(1).state()).isEqualTo(ProxyPool.MemberState.UP);
    }

    @Test
    void roundRobinStartsWithTheFirstAndGoesInOrder() {
        assertThat(hosts(pool("round_robin", 3), 7)).containsExactly("p0", "p1", "p2", "p0", "p1", "p2", "p0");
    }

    @Test
    void roundRobinRespectsWeightsAndSpreadsThem() {
        ProxyPool pool =
                pool(entry("round_robin", OnExhausted.FAIL, List.of(member(0, 2), member(1, 1), member(2, 0.5))));
        List<String> hosts = hosts(pool, 7);
        assertThat(hosts).filteredOn("p0"::equals).hasSize(4);
        assertThat(hosts).filteredOn("p1"::equals).hasSize(2);
        assertThat(hosts).filteredOn("p2"::equals).hasSize(1);
        assertThat(String.join("", hosts)).doesNotContain("p0p0p0");
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "3, 1", "10, 0.1"})
    void randomRespectsWeights(double first, double second) {
        ProxyPool pool = pool(entry("random", OnExhausted.FAIL, List.of(member(0, first), member(1, second))));
        long firsts = hosts(pool, 20_000).stream().filter("p0"::equals).count();
        assertThat(firsts / 20_000.0).isCloseTo(first / (first + second), within(0.02));
    }

    @Test
    void leastConnectionsTakesTheLeastBusyAndBreaksTiesInRotation() {
        ProxyPool pool = pool("least_connections", 3);
        List<ProxyPool.Use> open = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            open.add(use(pool));
        }
        assertThat(open).extracting(use -> use.proxy().host()).containsExactly("p0", "p1", "p2", "p0", "p1", "p2");
        open.stream().filter(use -> use.proxy().host().equals("p1")).forEach(use -> use.close(SUCCESS));
        assertThat(use(pool).proxy().host()).isEqualTo("p1");
        assertThat(use(pool).proxy().host()).isEqualTo("p1");
    }

    @ParameterizedTest
    @ValueSource(ints = {128, 129, 1_000})
    void leastConnectionsSpreadsLongConnectionsAtAnySize(int size) {
        ProxyPool pool = pool("least_connections", size);
        Map<String, Integer> counts = new HashMap<>();
        for (int i = 0; i < size * 10; i++) {
            counts.merge(use(pool).proxy().host(), 1, Integer::sum);
        }
        assertThat(counts.values())
                .allSatisfy(count -> assertThat(count).isBetween(size > 128 ? 3 : 10, size > 128 ? 15 : 10));
    }

    @Test
    void aStrategyOfTheApplicationsOwnIsChosenByItsName() {
        ProxySelectionStrategy last = (candidates, target) -> candidates.size() - 1;
        ProxyPool pool = new ProxyPool(
                "p", entry("lastOne", OnExhausted.FAIL, members(3)), name -> name.equals("lastOne") ? last : null);
        assertThat(hosts(pool, 2)).containsExactly("p2", "p2");
    }

    @Test
    void aStrategyThatDoesNotExistIsRefused() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> pool("fastest", 2))
                .withMessageContaining("no strategy 'fastest': use round_robin");
    }

    @Test
    void aStrategyThatChoosesNothingIsNamed() {
        ProxyPool pool =
                new ProxyPool("p", entry("wild", OnExhausted.FAIL, members(3)), name -> (candidates, target) -> 3);
        assertThatIllegalStateException()
                .isThrownBy(() -> use(pool))
                .withMessageContaining("'wild' chose number 3 of 3");
    }

    @Test
    void aPreviewTurnsNoRotation() {
        ProxyPool pool = pool("round_robin", 3);
        for (int i = 0; i < 5; i++) {
            assertThat(pool.preview(TARGET))
                    .extracting(preview -> preview.proxy().host())
                    .isEqualTo("p0");
        }
        assertThat(hosts(pool, 1)).containsExactly("p0");
    }

    @Test
    void anotherAttemptTakesAnotherProxyUpToMaxAttempts() {
        ProxyPool pool = pool("round_robin", 5);
        ProxyUrl first = use(pool).proxy();
        ProxyUrl second = use(pool, first).proxy();
        ProxyUrl third = use(pool, first, second).proxy();
        assertThat(List.of(first, second, third)).doesNotHaveDuplicates();
        assertThat(pool.acquire(TARGET, List.of(first, second, third)))
                .isEqualTo(new ProxyPool.Grant.None(ProxyPool.Exhausted.ATTEMPTS));
    }

    @Test
    void aProxyThatHasFailedInAWayThatNoCheckSeesIsTriedAgainAlsoIfThatCameLast() {
        ProxyPool pool = pool("round_robin", 2);
        pool.checkedBy(HealthCheck.Level.HANDSHAKE, ProxyPool.CheckRequests.NONE);
        List<ProxyPool.Use> open = Stream.generate(() -> use(pool))
                .limit(8)
                .filter(use -> use.proxy().host().equals("p0"))
                .toList();
        open.subList(0, 3)
                .forEach(use -> use.close(failure(ConnectionStage.TCP, Blame.PROXY))); // out, until a check succeeds
        open.get(3).close(failure(ConnectionStage.TUNNEL, Blame.PROXY)); // which is no longer enough
        pass(Duration.ofMinutes(1));
        pool.checkSucceeded(pool.members().get(0), HealthCheck.Level.HANDSHAKE, true);
        assertThat(hosts(pool, 4)).contains("p0");
    }

    @Test
    void anAttemptIsShortWhileOthersAreLeftToTry() {
        ProxyPool pool = pool("round_robin", 5);
        ProxyPool.Use first = use(pool);
        ProxyPool.Use second = use(pool, first.proxy());
        ProxyPool.Use third = use(pool, first.proxy(), second.proxy());
        assertThat(List.of(first, second, third))
                .extracting(ProxyPoolTests::timeout)
                .containsExactly(Duration.ofSeconds(5), Duration.ofSeconds(5), Duration.ofSeconds(20));
        assertThat(timeout(use(pool("round_robin", 1)))).isEqualTo(Duration.ofSeconds(20));
    }

    private static Duration timeout(ProxyPool.Use use) {
        return use.decision(Source.EXCHANGE).timeout();
    }

    @Test
    void furtherAttemptsAtProxiesThatFailAreLimitedToAFifthAndTenASecond() {
        ProxyPool pool = pool(withoutBreaker(entry("round_robin", OnExhausted.LAST_RESORT, members(5))));
        IntStream.range(0, 5).forEach(i -> use(pool).close(REFUSED));
        assertThat(furtherAttempts(pool, 1_000)).as("what ten seconds earn").isEqualTo(100);
        IntStream.range(0, 50).forEach(i -> use(pool).close(new Outcome.Cancelled()));
        assertThat(furtherAttempts(pool, 100)).isEqualTo(10);
        pass(Duration.ofSeconds(2));
        assertThat(furtherAttempts(pool, 100)).isEqualTo(20);
    }

    @Test
    void furtherAttemptsAtAProxyOfWhichNothingBadIsKnownAreNotLimited() {
        ProxyPool pool = pool("round_robin", 2);
        use(pool).close(REFUSED);
        assertThat(furtherAttempts(pool, 1_000)).isEqualTo(1_000);
    }

    @Test
    void whenTheBudgetIsUsedUpAProxyOfWhichNothingBadIsKnownIsTakenWhateverTheStrategySays() {
        ProxyPool pool = pool(withoutBreaker(entry("first", OnExhausted.FAIL, members(3))), (candidates, target) -> 0);
        use(pool).close(REFUSED);
        use(pool, ProxyUrl.parse("http://p0:1")).close(REFUSED);
        List<String> hosts = IntStream.range(0, 300)
                .mapToObj(i -> use(pool, ProxyUrl.parse("http://p0:1")).proxy().host())
                .toList();
        assertThat(hosts.subList(0, 50)).containsOnly("p1");
        assertThat(hosts.subList(200, 300)).containsOnly("p2");
    }

    private static long furtherAttempts(ProxyPool pool, int wanted) {
        ProxyUrl tried = ProxyUrl.parse("http://p0:1");
        return IntStream.range(0, wanted)
                .filter(i -> pool.acquire(TARGET, List.of(tried)) instanceof ProxyPool.Use)
                .count();
    }

    @Test
    void threeFailuresInARowTakeAProxyOut() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 2);
        assertThat(hosts(pool, 4)).contains("p1"); // and it succeeds
        let(pool, "p1", REFUSED, 2);
        assertThat(hosts(pool, 4)).contains("p1");
        let(pool, "p1", REFUSED, 3);
        assertThat(hosts(pool, 12)).doesNotContain("p1");
    }

    @Test
    void aBlackHoleCountsTwice() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", SILENT, 2);
        assertThat(hosts(pool, 12)).doesNotContain("p1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"CREDENTIALS", "CONFIGURATION"})
    void wrongCredentialsAndAForeignProtocolTakeAProxyOutAtOnce(String blame) {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", failure(ConnectionStage.HANDSHAKE, Blame.valueOf(blame)), 1);
        assertThat(hosts(pool, 12)).doesNotContain("p1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"POLICY", "TARGET", "LOCAL"})
    void whatIsNotTheProxysFaultNeverCounts(String blame) {
        ProxyPool pool = pool("round_robin", 4);
        for (int i = 0; i < 80; i++) {
            ProxyPool.Use use = use(pool, target("host" + i));
            boolean failing = use.proxy().host().equals("p1");
            use.close(failing ? failure(ConnectionStage.HANDSHAKE, Blame.valueOf(blame)) : SUCCESS);
        }
        assertThat(hosts(pool, 4)).contains("p1");
    }

    @Test
    void whatMayBeTheTargetsFaultCountsOnceThreeTargetsShowIt() {
        ProxyPool pool = pool(entry("first", OnExhausted.FAIL, members(4)), (candidates, target) -> 0);
        for (int i = 0; i < 10; i++) {
            use(pool, target("one")).close(AMBIGUOUS);
            use(pool, target("two")).close(AMBIGUOUS);
            pass(Duration.ofSeconds(10));
        }
        assertThat(use(pool).proxy().host()).as("two targets prove nothing").isEqualTo("p0");
        for (String host : List.of("three", "four")) {
            use(pool, target(host)).close(AMBIGUOUS);
            assertThat(use(pool).proxy().host()).as("after " + host).isEqualTo("p0");
        }
        use(pool, target("five")).close(AMBIGUOUS);
        assertThat(use(pool).proxy().host())
                .as("three failures counted: of the third target and the two after it")
                .isEqualTo("p1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"POLICY", "AMBIGUOUS"})
    void aProxyThatFailedForATargetIsNotAskedForItForAWhile(String blame) {
        ProxyPool pool = pool("round_robin", 3);
        use(pool).close(failure(ConnectionStage.HANDSHAKE, Blame.valueOf(blame)));
        assertThat(hosts(pool, 6)).containsExactly("p1", "p2", "p1", "p2", "p1", "p2");
        assertThat(pool.preview(TARGET).proxy().host()).isEqualTo("p1");
        assertThat(IntStream.range(0, 6)
                        .mapToObj(i -> use(pool, target("another")).proxy().host()))
                .contains("p0");
        pass(Duration.ofSeconds(10));
        assertThat(hosts(pool, 3)).contains("p0");
    }

    @Test
    void ifAllHaveFailedForATargetTheyAreTriedAllTheSame() {
        ProxyPool pool = pool(entry("round_robin", OnExhausted.FAIL, members(3)));
        List<String> tried = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            ProxyPool.Use use = use(pool);
            tried.add(use.proxy().host());
            use.close(failure(ConnectionStage.HANDSHAKE, Blame.POLICY));
        }
        assertThat(tried.subList(0, 3)).containsExactlyInAnyOrder("p0", "p1", "p2");
        assertThat(tried.subList(17, 20)).containsExactlyInAnyOrder("p0", "p1", "p2");
    }

    @Test
    void aProxyThatSaysWhenToComeAgainIsNotAskedForThisTargetBefore() {
        ProxyPool pool = pool(entry("round_robin", OnExhausted.FAIL, members(2)));
        Outcome tooMany =
                new Outcome.Failed(ConnectionStage.HANDSHAKE, Blame.POLICY, "429", Duration.ofSeconds(30), false);
        use(pool).close(tooMany);
        pass(Duration.ofSeconds(20));
        assertThat(hosts(pool, 4)).containsOnly("p1");
        use(pool).close(tooMany);
        assertThat(pool.acquire(TARGET, List.of()))
                .as("even if no other is left")
                .isEqualTo(new ProxyPool.Grant.None(ProxyPool.Exhausted.PROXIES));
        assertThat(use(pool, target("another"))).isNotNull();
        pass(Duration.ofSeconds(10));
        assertThat(hosts(pool, 2)).containsOnly("p0");
        pass(Duration.ofSeconds(20));
        assertThat(hosts(pool, 2)).containsExactlyInAnyOrder("p0", "p1");
    }

    @ParameterizedTest
    @ValueSource(strings = {"round_robin", "random", "least_connections"})
    void theShareOfAFailingProxyIsSpreadOverTheOthers(String strategy) {
        ProxyPool pool = pool(withoutBreaker(entry(strategy, OnExhausted.FAIL, members(5))));
        Map<String, Integer> served = new HashMap<>();
        for (int i = 0; i < 10_000; i++) {
            pass(Duration.ofMillis(100)); // ten further attempts a second are in the budget
            ProxyPool.Use use = use(pool);
            if (use.proxy().host().equals("p2")) {
                use.close(REFUSED);
                use = use(pool, use.proxy());
            }
            served.merge(use.proxy().host(), 1, Integer::sum);
            use.close(SUCCESS);
        }
        assertThat(served).hasSize(4);
        assertThat(served.values()).allSatisfy(count -> assertThat((double) count)
                .isCloseTo(2_500, within(strategy.equals("round_robin") ? 25.0 : 250.0)));
    }

    private static ProxyEntry withoutBreaker(ProxyEntry entry) {
        return new ProxyEntry(
                null,
                20,
                false,
                null,
                entry.pool(),
                null,
                entry.strategy(),
                3,
                Duration.ofSeconds(5),
                entry.onExhausted(),
                entry.healthCheck(),
                new CircuitBreakerSettings(false, 3, Duration.ofSeconds(5), Duration.ofMinutes(5), 50));
    }

    @Test
    void aProxyThatIsOutMissesItsTurnsAndTheOthersKeepTheirWeights() {
        ProxyPool pool = pool(entry(
                "round_robin", OnExhausted.FAIL, List.of(member(0, 1), member(1, 5), member(2, 2), member(3, 1))));
        let(pool, "p1", REFUSED, 3);
        List<String> hosts = hosts(pool, 400);
        assertThat(hosts).filteredOn("p0"::equals).hasSizeBetween(99, 101);
        assertThat(hosts).filteredOn("p2"::equals).hasSizeBetween(199, 201);
        assertThat(hosts).filteredOn("p3"::equals).hasSizeBetween(99, 101);
    }

    @ParameterizedTest
    @ValueSource(ints = {3, 300})
    void leastConnectionsRespectsWeightsOfIdleAndOfBusyPools(int size) {
        List<PoolMember> members = IntStream.range(0, size)
                .mapToObj(i -> member(i, i % 3 == 0 ? 2 : 1))
                .toList();
        ProxyPool idle = pool(entry("least_connections", OnExhausted.FAIL, members));
        long heavy = hosts(idle, size * 40).stream()
                .filter(host -> Integer.parseInt(host.substring(1)) % 3 == 0)
                .count();
        assertThat(heavy / (size * 40.0)).isCloseTo(0.5, within(0.05));
        ProxyPool busy = pool(entry("least_connections", OnExhausted.FAIL, members));
        long heavyConnections = IntStream.range(0, size * 40)
                .mapToObj(i -> use(busy).proxy().host())
                .filter(host -> Integer.parseInt(host.substring(1)) % 3 == 0)
                .count();
        assertThat(heavyConnections / (size * 40.0)).isCloseTo(0.5, within(0.05));
    }

    @Test
    void whileAllAreHeldDownByChecksTheyAreTriedInTurn() {
        ProxyPool pool = pool("round_robin", 3);
        pool.members().forEach(proxy -> pool.checkFailed(proxy, true, "refused"));
        List<String> tried = new ArrayList<>();
        for (int i = 0; i < 6; i++) {
            tried.add(use(pool).proxy().host());
            pass(Duration.ofSeconds(1));
        }
        assertThat(tried).containsExactly("p0", "p1", "p2", "p0", "p1", "p2");
    }

    private ProxyPool pool(ProxyEntry entry, ProxySelectionStrategy strategy) {
        return new ProxyPool("binance/http", entry, name -> strategy, now::get, () -> 0.5);
    }

    @Test
    void aProxyThatIsOutIsTriedByOneConnectionAndComesBack() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        pass(Duration.ofMillis(3_700)); // half of 5 s, and half of the other half for jitter
        assertThat(hosts(pool, 6)).doesNotContain("p1");
        pass(Duration.ofMillis(100));
        ProxyPool.Use probe = use(pool);
        assertThat(probe.proxy().host()).isEqualTo("p1");
        assertThat(hosts(pool, 6)).as("one at a time").doesNotContain("p1");
        probe.close(SUCCESS);
        assertThat(hosts(pool, 4)).contains("p1");
    }

    @Test
    void aProxyThatFailsItsTryIsOutForTwiceAsLong() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        for (int seconds = 5; seconds <= 320; seconds *= 2) {
            Duration out = Duration.ofMillis(Math.min(seconds, 300) * 750L);
            pass(out.minusMillis(1));
            assertThat(hosts(pool, 6)).doesNotContain("p1");
            pass(Duration.ofMillis(1));
            ProxyPool.Use probe = use(pool);
            assertThat(probe.proxy().host()).as("after " + out).isEqualTo("p1");
            probe.close(REFUSED);
        }
    }

    @Test
    void aTryThatWorksBringsTheProxyBackBeforeItEnds() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        pass(Duration.ofSeconds(5));
        use(pool).established();
        assertThat(hosts(pool, 4)).contains("p1");
    }

    @Test
    void aConnectionThatWorkedLongAgoSaysNothingAboutTheProxyOfToday() {
        ProxyPool pool = pool("round_robin", 4);
        ProxyPool.Use old = use(pool);
        old.established();
        let(pool, "p0", REFUSED, 3);
        old.close(SUCCESS);
        assertThat(hosts(pool, 8)).doesNotContain("p0");
    }

    @Test
    void aTryThatNeverReportsBackIsGivenToAnother() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        pass(Duration.ofSeconds(5));
        assertThat(use(pool).proxy().host()).isEqualTo("p1");
        assertThat(hosts(pool, 6)).doesNotContain("p1");
        pass(Duration.ofSeconds(21)); // the proxy's timeout and a second
        assertThat(use(pool).proxy().host()).isEqualTo("p1");
    }

    @Test
    void aTryThatSaysNothingAboutTheProxyIsGivenToAnother() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        pass(Duration.ofSeconds(5));
        ProxyPool.Use cancelled = use(pool);
        cancelled.close(new Outcome.Cancelled());
        pass(Duration.ofSeconds(1));
        assertThat(use(pool).proxy()).isEqualTo(cancelled.proxy());
    }

    @Test
    void aTryThatIsRefusedByPolicyShowsThatTheProxyWorks() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        pass(Duration.ofSeconds(5));
        use(pool).close(failure(ConnectionStage.HANDSHAKE, Blame.POLICY));
        pass(Duration.ofSeconds(10));
        assertThat(hosts(pool, 4)).contains("p1");
    }

    @Test
    void aTryThatMayHaveFailedForItsTargetIsNotRepeatedByEveryConnection() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p1", REFUSED, 3);
        pass(Duration.ofSeconds(5));
        use(pool).close(failure(ConnectionStage.HANDSHAKE, Blame.AMBIGUOUS));
        assertThat(hosts(pool, 8)).doesNotContain("p1");
        pass(Duration.ofSeconds(5));
        assertThat(use(pool).proxy().host()).isEqualTo("p1");
    }

    @Property(tries = 200)
    void atMostHalfOfAPoolIsLeftOutAltogetherAndNeverTheLast(
            @ForAll @IntRange(min = 1, max = 10) int size,
            @ForAll @Size(max = 60) List<@IntRange(min = 0, max = 9) Integer> failing,
            @ForAll @Size(max = 3) Set<@IntRange(min = 0, max = 9) Integer> down) {
        ProxyPool pool = pool(entry("random", OnExhausted.FAIL, members(size)));
        Map<String, Integer> failures = new HashMap<>();
        for (int index : failing) {
            if (pool.acquire(TARGET, List.of()) instanceof ProxyPool.Use use) {
                boolean atOnce = index % 3 == 0;
                failures.merge(use.proxy().host(), atOnce ? 3 : 1, Integer::sum);
                use.close(atOnce ? failure(ConnectionStage.HANDSHAKE, Blame.CREDENTIALS) : REFUSED);
            }
        }
        List<PooledProxy> members = pool.members();
        long ejected = members.stream().filter(PooledProxy::isEjected).count();
        long failed = failures.values().stream().filter(count -> count >= 3).count();
        assertThat(ejected).isEqualTo(Math.min(failed, Math.min(size / 2, size - 1)));
        assertThat(members.stream().filter(PooledProxy::isUsable).count()).isEqualTo(size - failed);
        assertThat(pool.acquire(TARGET, List.of())).isInstanceOf(ProxyPool.Use.class);

        down.stream()
                .filter(index -> index < size)
                .forEach(index -> pool.checkFailed(members.get(index), true, "down by its checks"));
        assertThat(members).filteredOn(PooledProxy::isDown).noneMatch(PooledProxy::isUsable);
        boolean left = members.stream().anyMatch(proxy -> proxy.isUsable() || proxy.isSpare());
        assertThat(pool.acquire(TARGET, List.of()) instanceof ProxyPool.Use).isEqualTo(left);
    }

    @Test
    void whatMayNotBeLeftOutIsTakenOnlyIfNothingElseIsLeft() {
        ProxyPool pool = pool(entry("round_robin", OnExhausted.FAIL, members(3)));
        let(pool, "p0", REFUSED, 3);
        let(pool, "p1", REFUSED, 3);
        assertThat(hosts(pool, 10)).containsOnly("p2");
        ProxyPool.Use spare = use(pool, ProxyUrl.parse("http://p2:1"));
        assertThat(spare.proxy().host()).isEqualTo("p1");
        spare.close(SUCCESS);
        assertThat(hosts(pool, 4)).contains("p1", "p2").doesNotContain("p0");
    }

    @Test
    void oneTargetThatSaysNothingDoesNotMakeSeveralProxiesLookDead() {
        ProxyPool pool = pool("round_robin", 4);
        for (int i = 0; i < 12; i++) {
            List<ProxyUrl> tried = new ArrayList<>();
            while (pool.acquire(TARGET, tried) instanceof ProxyPool.Use use) {
                tried.add(use.proxy());
                use.close(SILENT);
            }
            pass(Duration.ofSeconds(6));
        }
        assertThat(pool.members()).allMatch(PooledProxy::isUsable);
    }

    @Test
    void aProxyThatCannotBeReachedFromHereWhileOthersAreIsLeftOut() {
        Outcome noRoute = failure(ConnectionStage.TCP, Blame.LOCAL);
        ProxyPool pool = pool("round_robin", 2);
        let(pool, "p0", noRoute, 4); // before the first one nothing was reached
        assertThat(hosts(pool, 6)).containsOnly("p1");
        ProxyPool offline = pool("round_robin", 2);
        IntStream.range(0, 20).forEach(i -> use(offline).close(noRoute));
        assertThat(offline.members()).allMatch(PooledProxy::isUsable);
    }

    @Test
    void aConnectionThatWorksBringsBackWhatChecksHoldDown() {
        ProxyPool pool = pool("round_robin", 1);
        pool.checkFailed(pool.members().get(0), true, "refused");
        use(pool).established();
        assertThat(pool.members()).allMatch(PooledProxy::isUsable);
    }

    @Test
    void aPoolOfOneIsNeverLeftOut() {
        ProxyPool pool = pool("round_robin", 1);
        let(pool, "p0", REFUSED, 10);
        assertThat(hosts(pool, 1)).containsExactly("p0");
    }

    @ParameterizedTest
    @ValueSource(strings = {"FAIL", "DEFAULT"})
    void whenAllWereTriedThereIsNone(String onExhausted) {
        ProxyPool pool = pool(entry("round_robin", OnExhausted.valueOf(onExhausted), members(2)));
        assertThat(pool.acquire(TARGET, pool.proxies()))
                .isEqualTo(new ProxyPool.Grant.None(ProxyPool.Exhausted.PROXIES));
    }

    @Test
    void lastResortIsTheProxyThatIsBackFirstOnceASecond() {
        ProxyPool pool = pool("round_robin", 2);
        let(pool, "p1", REFUSED, 3);
        ProxyUrl tried = ProxyUrl.parse("http://p0:1");
        assertThat(use(pool, tried).proxy().host()).isEqualTo("p1");
        assertThat(pool.acquire(TARGET, List.of(tried)))
                .isEqualTo(new ProxyPool.Grant.None(ProxyPool.Exhausted.PROXIES));
        pass(Duration.ofSeconds(1));
        assertThat(use(pool, tried).proxy().host()).isEqualTo("p1");
    }

    @Test
    void aProxyThatHasJustFailedCountsAsBusier() {
        ProxyPool pool = pool("least_connections", 2);
        ProxyPool.Use failing = use(pool);
        String failed = failing.proxy().host();
        failing.close(REFUSED);
        List<ProxyPool.Use> open =
                IntStream.range(0, 4).mapToObj(i -> use(pool)).toList();
        assertThat(open).extracting(use -> use.proxy().host()).doesNotContain(failed);
    }

    @Test
    void aUseIsGivenBackOnce() {
        ProxyPool pool = pool("least_connections", 2);
        ProxyPool.Use first = use(pool);
        first.close(SUCCESS);
        first.close(SUCCESS);
        ProxyPool.Use again = use(pool);
        ProxyPool.Use other = use(pool);
        assertThat(other.proxy()).isNotEqualTo(again.proxy());
    }

    private static Predicate<ProxyUrl> host(String name) {
        return url -> url.host().equals(name);
    }

    private static Member state(ProxyPool pool, String host) {
        return pool.states().stream()
                .filter(member -> member.proxy().host().equals(host))
                .findAny()
                .orElseThrow();
    }

    @Test
    void aDrainedProxyGetsNoNewConnectionsUntilItIsResumed() {
        ProxyPool pool = pool("round_robin", 3);
        ProxyPool.Use open = use(pool);
        assertThat(open.proxy().host()).isEqualTo("p0");
        List<ProxyUrl> out = new ArrayList<>();
        pool.onOut(out::add);
        assertThat(pool.drain(host("p0"), "maintenance", null)).hasSize(1);
        assertThat(out).as("its idle connections are closed").hasSize(1);
        assertThat(hosts(pool, 20)).doesNotContain("p0").contains("p1", "p2");
        assertThat(state(pool, "p0").activeConnections())
                .as("what is open stays")
                .isEqualTo(1);
        assertThat(state(pool, "p0").state()).isEqualTo(MemberState.DRAINED);
        assertThat(state(pool, "p0").why()).isEqualTo("maintenance");
        open.close(SUCCESS);
        assertThat(hosts(pool, 20)).as("a success is no reason to resume").doesNotContain("p0");
        assertThat(pool.resume(host("p0"))).hasSize(1);
        assertThat(hosts(pool, 20)).contains("p0", "p1", "p2");
        assertThat(pool.resume(host("p0"))).isEmpty();
    }

    @Test
    void drainingExpiresByItself() {
        ProxyPool pool = pool("round_robin", 2);
        pool.drain(host("p1"), "maintenance", Duration.ofMinutes(30));
        assertThat(state(pool, "p1").leftOutFor()).isEqualTo(Duration.ofMinutes(30));
        pass(Duration.ofMinutes(30).minusNanos(1));
        assertThat(hosts(pool, 10)).doesNotContain("p1");
        pass(Duration.ofNanos(1));
        assertThat(hosts(pool, 10)).contains("p1");
        assertThat(state(pool, "p1").state()).isEqualTo(MemberState.UP);
    }

    @Test
    void theLastProxyOfAPoolIsNotDrained() {
        ProxyPool pool = pool("round_robin", 2);
        assertThat(pool.drain(url -> true, "all", null)).isEmpty();
        pool.drain(host("p0"), "one", null);
        assertThat(pool.wouldBeEmptyWithout(host("p1"))).isTrue();
        assertThat(pool.drain(host("p1"), "the other", null)).isEmpty();
        assertThat(hosts(pool, 5)).containsOnly("p1");
    }

    @Test
    @Tag("no-interruption")
    void aDrainedProxyThatWorksIsTakenBeforeNoConnectionAtAll() {
        ProxyPool pool = pool("round_robin", 2);
        pool.drain(host("p0"), "maintenance", null);
        let(pool, "p1", REFUSED, 3);
        ProxyPool.Use first = use(pool);
        assertThat(first.proxy().host()).as("the one that fails comes first").isEqualTo("p1");
        ProxyPool.Use next = use(pool, first.proxy());
        assertThat(next.proxy().host()).isEqualTo("p0");
        next.close(SUCCESS);
        assertThat(state(pool, "p0").state()).as("and is drained all the same").isEqualTo(MemberState.DRAINED);
    }

    @Test
    void aDrainedProxyThatFailsIsNotTried() {
        ProxyPool pool = pool("round_robin", 3);
        let(pool, "p0", REFUSED, 3);
        pool.drain(host("p0"), "maintenance", null);
        pass(Duration.ofMinutes(10));
        assertThat(hosts(pool, 10)).as("its time of being left out is over").containsOnly("p1", "p2");
        assertThat(state(pool, "p0").why()).isEqualTo("maintenance");
        pool.resume(host("p0"));
        assertThat(state(pool, "p0").state()).isEqualTo(MemberState.EJECTED);
        assertThat(state(pool, "p0").why()).as("what it was out for before").isEqualTo("failed");
    }

    @Test
    @Tag("no-leak")
    void theLastProxyThatWorksIsNotDrained() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p0", REFUSED, 3);
        let(pool, "p1", REFUSED, 3);
        pool.drain(host("p2"), "maintenance", null);
        assertThat(pool.wouldBeEmptyWithout(host("p3"))).isTrue();
        assertThat(pool.drain(host("p3"), "maintenance", null)).isEmpty();
    }

    @Test
    void aProxyIsInItsStateSinceThatChangedAndNotSinceItFailedAgain() {
        ProxyPool pool = pool("round_robin", 2);
        let(pool, "p0", REFUSED, 3);
        pass(Duration.ofSeconds(6));
        ProxyPool.Use trial = use(pool);
        assertThat(trial.proxy().host()).isEqualTo("p0");
        trial.close(REFUSED);
        pass(Duration.ofSeconds(1));
        assertThat(state(pool, "p0").inStateFor()).isEqualTo(Duration.ofSeconds(7));
    }

    @Test
    void aPreviewIsWhatTheNextConnectionGetsWhateverHasHappened() {
        ProxyPool pool = pool("round_robin", 3);
        for (Runnable event : List.<Runnable>of(
                () -> {},
                () -> let(pool, "p0", REFUSED, 3),
                () -> pool.drain(host("p1"), "maintenance", null),
                () -> let(pool, "p2", REFUSED, 3),
                () -> pass(Duration.ofSeconds(6)),
                () -> pool.resume(url -> true))) {
            event.run();
            ProxyPool.Preview preview = pool.preview(TARGET);
            assertThat(preview).isNotNull();
            ProxyPool.Use use = use(pool);
            assertThat(use.proxy()).as(preview.why()).isEqualTo(preview.proxy());
            use.close(new Outcome.Cancelled());
        }
    }

    @Test
    @Tag("NFR-3")
    void aReloadKeepsWhatIsKnownOfProxiesThatStay() {
        ProxyPool pool = pool("round_robin", 3);
        ProxyPool.Use open = use(pool);
        open.established();
        let(pool, "p1", REFUSED, 3);
        pool.prepare(entry("random", OnExhausted.FAIL, List.of(member(1, 1), member(0, 2), member(4, 1))), name -> null)
                .run();
        assertThat(pool.strategy()).isEqualTo("random");
        assertThat(state(pool, "p1").state()).isEqualTo(MemberState.EJECTED);
        assertThat(state(pool, "p0").activeConnections()).isEqualTo(1);
        assertThat(state(pool, "p0").succeededConnections()).isPositive();
        assertThat(hosts(pool, 50)).containsOnly("p0", "p4");
        open.close(SUCCESS);
        assertThat(state(pool, "p0").activeConnections()).isZero();
    }

    @Test
    @Tag("NFR-3")
    void aProxyThatHasGoneGetsNothingAndTellsNothing() {
        ProxyPool pool = pool("round_robin", 2);
        ProxyPool.Use first = use(pool);
        pool.prepare(entry("round_robin", OnExhausted.FAIL, List.of(member(1, 1))), name -> null)
                .run();
        assertThat(pool.has(first.proxy())).isFalse();
        assertThat(hosts(pool, 5)).containsOnly("p1");
        first.close(REFUSED);
        assertThat(pool.states()).hasSize(1);
        assertThat(state(pool, "p1").state()).isEqualTo(MemberState.UP);
    }

    @Test
    @Tag("NFR-3")
    void otherCredentialsAreAProxyThatStartsAnewButStaysDrained() {
        PoolMember before = new PoolMember(ProxyUrl.parse("http://user:old@p0:1"), null, 1, true, null, null);
        PoolMember after = new PoolMember(ProxyUrl.parse("http://user:new@p0:1"), null, 1, true, null, null);
        ProxyPool pool = pool(entry("round_robin", OnExhausted.FAIL, List.of(before, member(1, 1), member(2, 1))));
        let(pool, "p0", failure(ConnectionStage.HANDSHAKE, Blame.CREDENTIALS), 1);
        assertThat(state(pool, "p0").state()).isEqualTo(MemberState.EJECTED);
        pool.drain(host("p1"), "maintenance", null);
        pool.prepare(entry("round_robin", OnExhausted.FAIL, List.of(after, member(1, 1), member(2, 1))), name -> null)
                .run();
        assertThat(state(pool, "p0").state())
                .as("the password may be right now")
                .isEqualTo(MemberState.UP);
        assertThat(state(pool, "p1").state()).isEqualTo(MemberState.DRAINED);
        pool.drain(host("p0"), "maintenance", null);
        pool.prepare(entry("round_robin", OnExhausted.FAIL, List.of(before, member(1, 1), member(2, 1))), name -> null)
                .run();
        assertThat(state(pool, "p0").state()).isEqualTo(MemberState.DRAINED);
    }

    @Test
    @Tag("NFR-3")
    void aReloadThatLeavesOnlyFailingOrDrainedProxiesUsesThem() {
        ProxyPool pool = pool("round_robin", 4);
        let(pool, "p0", REFUSED, 3);
        assertThat(state(pool, "p0").state()).isEqualTo(MemberState.EJECTED);
        pool.prepare(entry("round_robin", OnExhausted.FAIL, List.of(member(0, 1))), name -> null)
                .run();
        assertThat(use(pool).proxy().host()).as("on-exhausted is fail").isEqualTo("p0");

        ProxyPool drained = pool("round_robin", 2);
        drained.drain(host("p0"), "maintenance", null);
        drained.prepare(entry("round_robin", OnExhausted.FAIL, List.of(member(0, 1))), name -> null)
                .run();
        assertThat(hosts(drained, 2)).containsOnly("p0");
    }

    @Test
    void aStrategyThatDoesNotExistChangesNothing() {
        ProxyPool pool = pool("round_robin", 2);
        assertThatThrownBy(() -> pool.prepare(entry("fastest", OnExhausted.FAIL, members(1)), name -> null))
                .hasMessageContaining("fastest");
        assertThat(pool.states()).hasSize(2);
    }
}
