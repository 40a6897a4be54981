package io.egressproxy.pool;

import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Limits further attempts to a share of the first ones plus a few each second (20 % and 10, the semantics page has it from
 * Finagle), so that a pool that is dead does not get its load multiplied.
 *
 * <p>A bucket of credit, filled by first attempts and by time, and never above ten seconds' worth. Lock-free.
 */
final class RetryBudget {
    private static final long RETRY = 1_000; // credit is counted in thousandths of a retry
    private static final long PER_ATTEMPT = RETRY / 5;
    private static final long PER_SECOND = 10 * RETRY;
    private static final long MOST = 10 * PER_SECOND;
    private static final long NANOS_PER_CREDIT = 1_000_000_000L / PER_SECOND;

    private final LongSupplier nanoTime;
    private final AtomicLong credit = new AtomicLong(MOST);
    private final AtomicLong filledAt;

    RetryBudget(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
        this.filledAt = new AtomicLong(nanoTime.getAsLong());
    }

    /** A first attempt was made. */
    void attempted() {
        if (credit.get() < MOST) {
            credit.addAndGet(PER_ATTEMPT);
        }
    }

    /** Takes a further attempt out of the budget. */
    boolean tryRetry() {
        fillByTime();
        long left;
        do {
            left = credit.get();
            if (left < RETRY) {
                return false;
            }
        } while (!credit.compareAndSet(left, left - RETRY));
        return true;
    }

    private void fillByTime() {
        long now = nanoTime.getAsLong();
        long last = filledAt.get();
        long earned = (now - last) / NANOS_PER_CREDIT;
        if (earned > 0 && filledAt.compareAndSet(last, last + earned * NANOS_PER_CREDIT)) {
            credit.updateAndGet(left -> Math.min(MOST, left + Math.min(MOST, earned)));
        }
    }
}
