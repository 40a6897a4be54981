package io.egressproxy.sample.feed;

import io.egressproxy.sample.feed.FeedView.State;
import java.net.URI;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What is known about one feed, in memory only; says in the log what changes. Thread-safe. */
final class Feed {

    private static final Logger log = LoggerFactory.getLogger(Feed.class);

    private final String exchange;
    private final ConnectionType connectionType;
    private final URI url;
    private final Clock clock;
    private @Nullable Tick lastTick;
    private @Nullable Instant lastTickAt;
    private long ticks;
    private State state = State.STARTING;
    private Instant since;
    private @Nullable String lastError;

    Feed(String exchange, ConnectionType connectionType, URI url, Clock clock) {
        this.exchange = exchange;
        this.connectionType = connectionType;
        this.url = url;
        this.clock = clock;
        this.since = clock.instant();
    }

    synchronized void ticked(Tick tick) {
        Instant now = clock.instant();
        String from = lastTick == null ? null : lastTick.seenFrom();
        boolean moved = ticks > 0 && !Objects.equals(from, tick.seenFrom());
        lastTick = tick;
        lastTickAt = now;
        ticks++;
        if (state == State.FAILING) {
            log.info("{} ok again after {} s, {}", label(), seconds(now), via(tick));
        } else if (state == State.STARTING) {
            log.info("{} ok, {}", label(), via(tick));
        } else if (moved) {
            log.info("{} now {} (before: {})", label(), via(tick), from);
        }
        enter(State.OK, now);
    }

    synchronized void failed(Throwable failure) {
        String message = failure.getMessage();
        lastError = message == null ? failure.getClass().getName() : message;
        if (state != State.FAILING) {
            log.warn("{} FAILING: {}", label(), lastError);
        }
        enter(State.FAILING, clock.instant());
    }

    /** The line of the regular report. */
    synchronized String line() {
        if (state == State.FAILING) {
            return "%s FAILING for %d s: %s".formatted(label(), seconds(clock.instant()), lastError);
        }
        return lastTick == null
                ? label() + " no tick yet"
                : "%s %s  %s".formatted(label(), lastTick.text(), via(lastTick));
    }

    synchronized FeedView view() {
        Tick tick = lastTick;
        return new FeedView(
                exchange,
                connectionType,
                String.valueOf(url.getHost()),
                port(),
                tick == null ? null : tick.symbol(),
                tick == null ? null : tick.price(),
                tick == null ? null : tick.seenFrom(),
                tick == null ? null : tick.raw(),
                ticks,
                lastTickAt,
                state,
                since,
                lastError);
    }

    private int port() {
        String scheme = String.valueOf(url.getScheme());
        return url.getPort() > 0 ? url.getPort() : scheme.endsWith("s") ? 443 : 80; // https, wss
    }

    private void enter(State next, Instant now) {
        if (state != next) {
            state = next;
            since = now;
        }
    }

    private long seconds(Instant now) {
        return Duration.between(since, now).toSeconds();
    }

    private String label() {
        return "%-9s %-9s".formatted(exchange, connectionType.id());
    }

    private static String via(Tick tick) {
        return tick.seenFrom() == null ? "(the target does not say via whom)" : "via " + tick.seenFrom();
    }
}
