package io.egressproxy.routing;

import io.egressproxy.ProxyReload;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Scheduler;

/**
 * Reloads the settings when their files have changed and have then been left alone for a while: nobody wants half a file, or a reload for each of
 * many changes. Looks at the files again and again rather than to wait for events, which network and container file systems do not give.
 */
public final class SettingsWatch implements AutoCloseable {
    private static final Logger log = LoggerFactory.getLogger(SettingsWatch.class);
    private static final Duration LONGEST_BETWEEN_LOOKS = Duration.ofSeconds(1);
    private static final Duration SHORTEST_BETWEEN_LOOKS = Duration.ofMillis(20);
    private static final int LOOKS_PER_QUIET_PERIOD = 4;
    private static final int MOST_QUIET_PERIODS = 10;

    private final Supplier<Object> fingerprint;
    private final ProxyReload reload;
    private final long quietNanos;
    private final Scheduler scheduler;
    private final LongSupplier nanoTime;

    // only ever touched on the scheduler's thread
    private Object applied;
    private @Nullable Object seen;
    private long firstChangeNanos;
    private long lastChangeNanos;

    /**
     * A watch that does nothing until it is started.
     *
     * @param fingerprint what the files are like now
     * @param reload what to do about a change
     * @param quietPeriod how long they have to be left alone; a change is applied after ten times that in any case
     * @param scheduler one thread that may block; closed with this
     * @param nanoTime the monotonic clock
     */
    public SettingsWatch(
            Supplier<Object> fingerprint,
            ProxyReload reload,
            Duration quietPeriod,
            Scheduler scheduler,
            LongSupplier nanoTime) {
        this.fingerprint = fingerprint;
        this.reload = reload;
        this.quietNanos = quietPeriod.toNanos();
        this.scheduler = scheduler;
        this.nanoTime = nanoTime;
        this.applied = "nothing"; // so that a change between the reading of the files and the first look is not missed
    }

    /** Begins to look at the files. */
    public void start() {
        long between = Math.max(
                SHORTEST_BETWEEN_LOOKS.toNanos(),
                Math.min(LONGEST_BETWEEN_LOOKS.toNanos(), quietNanos / LOOKS_PER_QUIET_PERIOD));
        scheduler.schedulePeriodically(this::look, between, between, TimeUnit.NANOSECONDS);
    }

    private void look() {
        try {
            Object now = fingerprint.get();
            if (now.equals(applied)) {
                seen = null; // also if it was changed and changed back
                return;
            }
            long nanos = nanoTime.getAsLong();
            if (!now.equals(seen)) {
                firstChangeNanos = seen == null ? nanos : firstChangeNanos;
                lastChangeNanos = nanos;
                seen = now;
            }
            if (nanos - lastChangeNanos >= quietNanos || nanos - firstChangeNanos >= MOST_QUIET_PERIODS * quietNanos) {
                applied = now; // whatever is changed from here on is seen by the next look
                seen = null;
                reload.reload();
            }
        } catch (RuntimeException | LinkageError unexpected) { // or there would be no other look
            log.warn("The files of the proxy settings could not be looked at", unexpected);
        }
    }

    @Override
    public void close() {
        scheduler.dispose();
    }
}
