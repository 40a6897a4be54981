package io.egressproxy.pool;

import io.egressproxy.settings.CircuitBreakerSettings;
import java.time.Duration;
import java.util.function.DoubleSupplier;

/**
 * Whether a proxy is left out for its failures. Closed until it has failed as often in a row as configured; then open for a
 * while, twice as long each time; then half open: one connection may try it, and decides.
 *
 * <p>The permit of that connection expires by itself, so that one that never reports back does not keep the proxy out for
 * good. All times are of the monotonic clock.
 *
 * <p>A compact state of our own rather than Resilience4j's breaker: a few fields for each proxy, and the pool has to know
 * before opening whether it may (see {@link ProxyPool}). Not thread-safe, but for {@link #state()}; the pool guards it.
 */
final class ProxyBreaker {
    enum State {
        CLOSED,
        OPEN,
        HALF_OPEN
    }

    private static final long PAUSE_NANOS = Duration.ofSeconds(1).toNanos();

    private CircuitBreakerSettings settings;
    private Duration permitExpiry;
    private final DoubleSupplier random;
    private volatile State state = State.CLOSED; // read without the pool's lock
    private int failures;
    private int timesOpened;
    private long untilNanos;

    /**
     * A closed breaker.
     *
     * @param settings when it opens and for how long
     * @param permitExpiry how long the connection that tries a half-open proxy may take to report back
     * @param random numbers from 0 to 1, for jitter
     */
    ProxyBreaker(CircuitBreakerSettings settings, Duration permitExpiry, DoubleSupplier random) {
        this.settings = settings;
        this.permitExpiry = permitExpiry;
        this.random = random;
    }

    State state() {
        return state;
    }

    /** Counts on by other rules from now on. */
    void reconfigure(CircuitBreakerSettings changed, Duration changedPermitExpiry) {
        settings = changed;
        permitExpiry = changedPermitExpiry;
    }

    /** When the state changes by itself; meaningless while closed. */
    long untilNanos() {
        return untilNanos;
    }

    /** Consecutive failures counted while closed. */
    int failures() {
        return failures;
    }

    /** Counts failures and says whether the breaker should open for them. */
    boolean failed(int count) {
        failures = Math.min(failures + count, 1_000_000);
        return state == State.HALF_OPEN || (state == State.CLOSED && failures >= settings.failureThreshold());
    }

    /** Leaves the proxy out. */
    void open(long nowNanos) {
        long base = settings.openFor().toNanos();
        long most = settings.maxOpenFor().toNanos();
        // the exponent is capped before the shift: 5 s * 2^n overflows for an n that a long outage reaches
        int doublings = Math.min(timesOpened, 30);
        long full = base > most >> doublings ? most : base << doublings;
        timesOpened++;
        state = State.OPEN;
        long half = full / 2;
        untilNanos = nowNanos + half + (long) (half * random.getAsDouble()); // equal jitter
    }

    /** Whether the time to try the proxy has come, and nobody does. */
    boolean isProbeDue(long nowNanos) {
        return state != State.CLOSED && nowNanos - untilNanos >= 0;
    }

    /** Takes the one permit to try the proxy, if the time for it has come. */
    boolean tryProbe(long nowNanos) {
        if (!isProbeDue(nowNanos)) {
            return false;
        }
        state = State.HALF_OPEN;
        untilNanos = nowNanos + permitExpiry.toNanos();
        return true;
    }

    /** Gives the permit back: the connection that had it says nothing about the proxy. Another may try after a pause. */
    void probeGivenBack(long nowNanos) {
        if (state == State.HALF_OPEN) {
            untilNanos = nowNanos + PAUSE_NANOS;
        }
    }

    /** What the connection found may be the proxy's fault or not: out for as long as the first time, and not for longer. */
    void reopen(long nowNanos) {
        state = State.OPEN;
        untilNanos = nowNanos + settings.openFor().toNanos();
    }

    /** The proxy has served a connection. */
    void succeeded() {
        state = State.CLOSED;
        failures = 0;
        timesOpened = 0;
    }
}
