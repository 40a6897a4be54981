package io.egressproxy.service;

import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.LongSupplier;

/**
 * The breaker where Resilience4j is not there: open after three failures in a row, for 5 s at first and up to a minute; then one
 * call tries, whose permission expires by itself.
 */
final class PlainServiceBreaker implements ServiceBreaker {
    private static final int THRESHOLD = 3;
    private static final Duration FIRST = Duration.ofSeconds(5);
    private static final Duration LONGEST = Duration.ofMinutes(1);
    private static final Duration PERMIT = Duration.ofSeconds(15);

    private final LongSupplier nanoTime;
    private int failures;
    private int timesOpened;
    private volatile boolean closed = true;
    private volatile long untilNanos;

    PlainServiceBreaker(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    @Override
    public boolean isOpen() {
        return !closed && nanoTime.getAsLong() - untilNanos < 0;
    }

    @Override
    public boolean tryAcquire() {
        if (closed) {
            return true;
        }
        synchronized (this) {
            if (isOpen()) {
                return false;
            }
            untilNanos = nanoTime.getAsLong() + PERMIT.toNanos();
            return true;
        }
    }

    @Override
    public synchronized void succeeded(Duration took) {
        failures = 0;
        timesOpened = 0;
        closed = true;
    }

    @Override
    public synchronized void failed(Duration took, Throwable cause) {
        failures++;
        if (!closed || failures >= THRESHOLD) {
            long full = Math.min(LONGEST.toNanos(), FIRST.toNanos() << Math.min(timesOpened++, 10));
            untilNanos = nanoTime.getAsLong()
                    + full / 2
                    + ThreadLocalRandom.current().nextLong(full / 2); // so that a fleet does not come back at once
            closed = false;
        }
    }

    @Override
    public synchronized void released() {
        suspectRecovery();
    }

    @Override
    public synchronized void suspectRecovery() {
        if (!closed) {
            untilNanos = nanoTime.getAsLong();
        }
    }
}
