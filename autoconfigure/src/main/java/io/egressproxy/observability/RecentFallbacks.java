package io.egressproxy.observability;

import io.egressproxy.ProxyDecision;
import io.egressproxy.ProxyEventListener;
import io.egressproxy.ProxyTarget;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Remembers the last fallbacks, for people who ask what has happened. Thread-safe. */
public final class RecentFallbacks implements ProxyEventListener {
    private static final int MOST = 100;
    private static final String NO_PROXY = "no_proxy";

    private final Clock clock;
    private final Deque<Fallback> latest = new ArrayDeque<>(MOST);

    /**
     * A connection that did not get what was meant for it.
     *
     * @param time when
     * @param target what it was for
     * @param reason why, see {@link ProxyEventListener#fellBack}
     * @param decision what it did instead
     * @param correlationId of the request to the proxy service that led to it, or null
     */
    public record Fallback(
            Instant time, ProxyTarget target, String reason, ProxyDecision decision, @Nullable String correlationId) {}

    /**
     * Remembers nothing yet.
     *
     * @param clock what time it is
     */
    public RecentFallbacks(Clock clock) {
        this.clock = clock;
    }

    @Override
    public boolean hearsConnections() {
        return false;
    }

    @Override
    public void fellBack(ProxyTarget target, String reason, ProxyDecision decision, @Nullable String correlationId) {
        if (reason.equals(NO_PROXY) && decision instanceof ProxyDecision.UseProxy) {
            return; // an answer like any other, which would push out what has gone wrong
        }
        Fallback fallback = new Fallback(clock.instant(), target, reason, decision, correlationId);
        synchronized (latest) { // for some nanoseconds
            if (latest.size() == MOST) {
                latest.removeFirst();
            }
            latest.addLast(fallback);
        }
    }

    /**
     * The last 100 of them.
     *
     * @return the latest first
     */
    public List<Fallback> latest() {
        List<Fallback> copy;
        synchronized (latest) {
            copy = new ArrayList<>(latest);
        }
        Collections.reverse(copy);
        return copy;
    }
}
