package io.egressproxy.routing;

import java.time.Duration;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Lets a warning about something through once a minute, with the number of times it would have been given since. Thread-safe.
 *
 * @param <K> what the warnings are about
 */
final class Throttle<K> {
    private static final long INTERVAL_NANOS = Duration.ofMinutes(1).toNanos();
    private static final int MOST_KEYS = 10_000;

    private static final class Occurrences {
        final AtomicLong count = new AtomicLong();
        final AtomicLong lastNanos;

        Occurrences(long lastNanos) {
            this.lastNanos = new AtomicLong(lastNanos);
        }
    }

    private final LongSupplier nanoTime;
    private final Map<K, Occurrences> byKey = new ConcurrentHashMap<>();

    Throttle(LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
    }

    /**
     * Notes that it has happened.
     *
     * @param key what the warning is about
     * @return how often since the last warning, this time included, if it is time for another; or else 0
     */
    long occurred(K key) {
        long now = nanoTime.getAsLong();
        Occurrences known = byKey.get(key);
        if (known == null) {
            if (byKey.size() >= MOST_KEYS) {
                return 0;
            }
            known = byKey.computeIfAbsent(key, ignored -> new Occurrences(now - INTERVAL_NANOS));
        }
        known.count.incrementAndGet();
        long last = known.lastNanos.get();
        boolean due = now - last >= INTERVAL_NANOS && known.lastNanos.compareAndSet(last, now);
        return due ? known.count.getAndSet(0) : 0;
    }
}
