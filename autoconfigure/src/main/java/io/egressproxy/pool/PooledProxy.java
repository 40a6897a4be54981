package io.egressproxy.pool;

import io.egressproxy.HealthCheck;
import io.egressproxy.ProxyDecision.Source;
import io.egressproxy.ProxyDecision.UseProxy;
import io.egressproxy.ProxyUrl;
import io.egressproxy.settings.PoolMember;
import java.time.Duration;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;
import java.util.concurrent.atomic.AtomicLongFieldUpdater;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** A proxy of a pool, and what its connections have told about it. */
final class PooledProxy {
    /** As the pool lists them. */
    static final Comparator<PooledProxy> IN_LIST_ORDER = Comparator.comparingInt(proxy -> proxy.place);

    private static final int PENALTY = 4;
    private static final int PENALIZED =
            1 << 30; // a bit of the count, so that who compares many proxies reads one field of each
    private static final long PENALTY_NANOS = Duration.ofSeconds(10).toNanos();
    private static final int AMBIGUOUS_TARGETS = 3;
    private static final int MOST_AMBIGUOUS_TARGETS = 10;
    private static final long AMBIGUOUS_NANOS = Duration.ofSeconds(30).toNanos();
    private static final long NEVER = Long.MIN_VALUE;

    private static final AtomicIntegerFieldUpdater<PooledProxy> ACTIVE =
            AtomicIntegerFieldUpdater.newUpdater(PooledProxy.class, "active");
    private static final AtomicLongFieldUpdater<PooledProxy> SUCCEEDED =
            AtomicLongFieldUpdater.newUpdater(PooledProxy.class, "succeeded");
    private static final AtomicLongFieldUpdater<PooledProxy> FAILED =
            AtomicLongFieldUpdater.newUpdater(PooledProxy.class, "failed");

    /**
     * Why it gets no new connections although it works.
     *
     * @param reason in the words of whoever drains it
     * @param sinceNanos when that began
     * @param untilNanos when that ends by itself, or null if it does not
     */
    record Drain(String reason, long sinceNanos, @Nullable Long untilNanos) {
        boolean isOver(long nowNanos) {
            return untilNanos != null && nowNanos - untilNanos >= 0;
        }
    }

    /** What its state has last been changed by, and when. */
    private record Change(String why, long atNanos) {}

    private final ProxyUrl url;
    private final ProxyBreaker breaker;
    private int place;
    private volatile PoolMember member;
    private volatile Duration timeout;
    private volatile @Nullable String sslBundle;
    private volatile boolean removed;
    private volatile @Nullable UseProxy lastDecision;
    private volatile int active; // by ACTIVE only, with a bit for PENALIZED
    private volatile long succeeded; // by SUCCEEDED only
    private volatile long failed; // by FAILED only
    private volatile @Nullable Change change;
    private volatile @Nullable Drain drain;
    private volatile @Nullable Supplier<ProxyPool.Member> view;
    private volatile long failedAtNanos = NEVER;
    private volatile long workedAtNanos = NEVER;
    private volatile boolean spotless = true;
    private volatile boolean failing;
    private volatile boolean down;
    private volatile boolean spare;
    private HealthCheck.Level failedLevel = HealthCheck.Level.HOST;
    private long lastResortAtNanos = NEVER;
    private @Nullable Map<String, Long> ambiguousTargets;

    PooledProxy(PoolMember member, Duration timeout, @Nullable String sslBundle, ProxyBreaker breaker) {
        this.url = member.url();
        this.member = member;
        this.timeout = timeout;
        this.sslBundle = sslBundle;
        this.breaker = breaker;
    }

    /** The settings have changed, but not its URL; what is known of it stays. */
    void reconfigure(PoolMember changed, Duration changedTimeout, @Nullable String changedSslBundle) {
        member = changed;
        timeout = changedTimeout;
        sslBundle = changedSslBundle;
    }

    /** Which of the pool's list it is; guarded by the pool. */
    void place(int index) {
        place = index;
    }

    /** It is no longer one of the pool: what its connections still tell concerns nobody. */
    void remove() {
        removed = true;
    }

    boolean isRemoved() {
        return removed;
    }

    ProxyUrl url() {
        return url;
    }

    double weight() {
        return member.weight();
    }

    Duration timeout() {
        return timeout;
    }

    @Nullable
    Duration healthCheckTimeout() {
        return member.healthCheckTimeout();
    }

    @Nullable
    String sslBundle() {
        return sslBundle;
    }

    /** Mostly the same as the last time, and then the same object. */
    UseProxy decision(Duration attempt, Source source) {
        UseProxy last = lastDecision;
        String bundle = sslBundle;
        if (last != null
                && last.source() == source
                && last.timeout().equals(attempt)
                && Objects.equals(last.sslBundle(), bundle)) {
            return last;
        }
        UseProxy decision = new UseProxy(url, attempt, bundle, source);
        lastDecision = decision;
        return decision;
    }

    ProxyBreaker breaker() {
        return breaker;
    }

    void taken() {
        ACTIVE.incrementAndGet(this);
    }

    void givenBack() {
        ACTIVE.decrementAndGet(this);
    }

    /** Open connections, and four more right after a failure, fading over ten seconds. */
    int load(LongSupplier nanoTime) {
        int now = active;
        return (now & PENALIZED) == 0 ? now : penalizedLoad(nanoTime);
    }

    private int penalizedLoad(LongSupplier nanoTime) {
        long failedAt = failedAtNanos;
        long age = nanoTime.getAsLong() - failedAt;
        if (age < PENALTY_NANOS) {
            return activeConnections() + (int) (PENALTY - PENALTY * age / PENALTY_NANOS);
        }
        ACTIVE.getAndUpdate(this, count -> count & ~PENALIZED); // so that nobody has to look at the clock for it again
        if (failedAtNanos != failedAt) {
            penalize(); // it has failed once more meanwhile
        }
        return activeConnections();
    }

    private void penalize() {
        ACTIVE.getAndUpdate(this, count -> count | PENALIZED);
    }

    /** Whether anything would change if it succeeded; spares the lock for the ordinary case. */
    boolean isSpotless() {
        return spotless;
    }

    /** Whether it has failed by its own fault since it last worked. */
    boolean isFailing() {
        return failing;
    }

    /** A connection worked. */
    void worked(long nowNanos) {
        workedAtNanos = nowNanos;
        SUCCEEDED.incrementAndGet(this);
    }

    /** How long ago a connection worked, if none has failed since; or else more than any time. */
    long sinceWorked(long nowNanos) {
        long worked = workedAtNanos;
        long failed = failedAtNanos;
        boolean stale = worked == NEVER || (failed != NEVER && failed - worked >= 0);
        return stale ? Long.MAX_VALUE : nowNanos - worked;
    }

    /** Whether health checks hold it down. */
    boolean isDown() {
        return down;
    }

    /** Guarded by the pool, as all below. */
    void down(boolean value) {
        down = value;
    }

    /** Whether it may still be taken when no other is left, though it fails: so many fail that not all may be left out. */
    void spare(boolean value) {
        spare = value;
    }

    /** Whether its failures leave it out altogether. */
    boolean isEjected() {
        return breaker.state() != ProxyBreaker.State.CLOSED && !spare;
    }

    /** Whether it gets no new connections, on purpose. */
    @Nullable
    Drain drain() {
        return drain;
    }

    void drain(@Nullable Drain value) {
        drain = value;
    }

    /** Its state has changed. */
    void changed(String why, long nowNanos) {
        change = new Change(why, nowNanos);
    }

    /** Always the same. */
    Supplier<ProxyPool.Member> view(LongSupplier nanoTime) {
        Supplier<ProxyPool.Member> made = view;
        if (made == null) {
            made = () -> member(nanoTime.getAsLong());
            view = made;
        }
        return made;
    }

    /** All that is known of it. */
    ProxyPool.Member member(long nowNanos) {
        Drain drained = drain;
        Change last = drained == null ? change : new Change(drained.reason(), drained.sinceNanos());
        Long until = drained != null
                ? drained.untilNanos()
                : down || breaker.state() == ProxyBreaker.State.CLOSED ? null : Long.valueOf(breaker.untilNanos());
        return new ProxyPool.Member(
                url(),
                state(),
                last == null ? null : last.why(),
                last == null ? null : Duration.ofNanos(nowNanos - last.atNanos()),
                until == null ? null : Duration.ofNanos(Math.max(0, until - nowNanos)),
                activeConnections(),
                succeeded,
                failed);
    }

    /** What is known of it, in one word. */
    ProxyPool.MemberState state() {
        if (drain != null) {
            return ProxyPool.MemberState.DRAINED;
        }
        if (down) {
            return ProxyPool.MemberState.DOWN;
        }
        if (breaker.state() == ProxyBreaker.State.CLOSED) {
            return ProxyPool.MemberState.UP;
        }
        return spare ? ProxyPool.MemberState.SPARE : ProxyPool.MemberState.EJECTED;
    }

    int activeConnections() {
        return active & ~PENALIZED;
    }

    /** Whether nothing is wrong with it. */
    boolean works() {
        return !down && breaker.state() == ProxyBreaker.State.CLOSED;
    }

    /** Whether connections may take it. */
    boolean isUsable() {
        return works() && drain == null;
    }

    /** Whether connections may take it if they find no usable one. */
    boolean isSpare() {
        return !down && breaker.state() != ProxyBreaker.State.CLOSED && spare && drain == null;
    }

    /** A failure of its own, at the highest level so far. */
    void failed(long nowNanos, HealthCheck.Level level) {
        failedAtNanos = nowNanos;
        penalize();
        FAILED.incrementAndGet(this);
        spotless = false;
        failing = true;
        if (level.compareTo(failedLevel) > 0) {
            failedLevel = level;
        }
    }

    HealthCheck.Level failedLevel() {
        return failedLevel;
    }

    void succeeded() {
        spotless = true;
        failing = false;
        ambiguousTargets = null;
        failedLevel = HealthCheck.Level.HOST;
    }

    /** Whether failures that may be the target's are being seen for so many targets that they must be the proxy's. */
    boolean ambiguous(String target, long nowNanos) {
        Map<String, Long> targets = ambiguousTargets;
        if (targets == null) {
            targets = new LinkedHashMap<>();
            ambiguousTargets = targets;
        }
        spotless = false;
        targets.values().removeIf(seen -> nowNanos - seen > AMBIGUOUS_NANOS);
        if (targets.size() < MOST_AMBIGUOUS_TARGETS || targets.containsKey(target)) {
            targets.put(target, nowNanos);
        }
        return targets.size() >= AMBIGUOUS_TARGETS;
    }

    /** How long ago it was tried while all of the pool were out. */
    long sinceLastResort(long nowNanos) {
        return lastResortAtNanos == NEVER ? Long.MAX_VALUE : nowNanos - lastResortAtNanos;
    }

    void lastResort(long nowNanos) {
        lastResortAtNanos = nowNanos;
    }
}
