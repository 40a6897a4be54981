package io.egressproxy.service;

import io.egressproxy.ProxyServiceAnswer;
import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;

/** An answer of the service that has been found to be in order. Compared by identity: each is evicted for itself. */
public final class Answer {
    private static final long SHOWN_NANOS = Duration.ofSeconds(30).toNanos();
    private static final long AVOIDED_NANOS = Duration.ofSeconds(5).toNanos();
    private static final int TARGETS_THAT_SHOW_IT = 3;
    private static final int MOST_TARGETS = 10;

    /** How old an answer was when it was last looked up. */
    enum Age {
        /** To be used. */
        FRESH,
        /** To be used, and to be renewed. */
        DUE,
        /** Not to be used any more, unless nothing else is to be had. */
        EXPIRED
    }

    private final @Nullable ProxyUrl proxy;
    private final @Nullable String proxyUrl;
    private final @Nullable String proxyId;
    private final String correlationId;
    private final FallbackPolicy fallbackPolicy;
    private final long answeredAtNanos;
    private final long ttlNanos;
    private final long refreshAfterNanos;
    private volatile Age age = Age.FRESH;
    private final AtomicBoolean claimed = new AtomicBoolean();
    private final Map<String, Long> failedTargets = new ConcurrentHashMap<>();

    /**
     * An answer.
     *
     * @param proxyUrl the proxy as the service wrote it, which is how it is told about it; holds credentials
     * @param correlationId of the request that it answers
     * @param refreshAt the share of its time to live after which it is renewed, 0 to 1
     */
    Answer(
            @Nullable ProxyUrl proxy,
            @Nullable String proxyUrl,
            @Nullable String proxyId,
            String correlationId,
            FallbackPolicy fallbackPolicy,
            long answeredAtNanos,
            long ttlNanos,
            double refreshAt) {
        this.proxy = proxy;
        this.proxyUrl = proxyUrl;
        this.proxyId = proxyId;
        this.correlationId = correlationId;
        this.fallbackPolicy = fallbackPolicy;
        this.answeredAtNanos = answeredAtNanos;
        this.ttlNanos = ttlNanos;
        this.refreshAfterNanos = (long) (ttlNanos * refreshAt);
    }

    /**
     * The proxy to use.
     *
     * @return its URL, or null if the service has none
     */
    public @Nullable ProxyUrl proxy() {
        return proxy;
    }

    /**
     * The service's name for the proxy.
     *
     * @return the id, or null if it did not say
     */
    public @Nullable String proxyId() {
        return proxyId;
    }

    /**
     * What to do when the proxy fails or there is none.
     *
     * @return the policy
     */
    public FallbackPolicy fallbackPolicy() {
        return fallbackPolicy;
    }

    /** As the service wrote it, with credentials. */
    @Nullable
    String proxyUrl() {
        return proxyUrl;
    }

    /**
     * What the request for it was sent with.
     *
     * @return the correlation id
     */
    public String correlationId() {
        return correlationId;
    }

    long ttlNanos() {
        return ttlNanos;
    }

    /**
     * What it says.
     *
     * @return without secrets
     */
    ProxyServiceAnswer content() {
        return new ProxyServiceAnswer(proxy, proxyId, Duration.ofNanos(ttlNanos), fallbackPolicy.id());
    }

    /**
     * The proxy would not or could not reach a target, and it may be the target's fault.
     *
     * @param target the target
     * @return whether so many targets show it that it must be the proxy's
     */
    boolean failedFor(ProxyTarget target, long nowNanos) {
        failedTargets.values().removeIf(failed -> nowNanos - failed >= SHOWN_NANOS);
        if (failedTargets.size() < MOST_TARGETS) {
            failedTargets.put(address(target), nowNanos);
        }
        return failedTargets.size() >= TARGETS_THAT_SHOW_IT;
    }

    boolean hasFailedTargets() {
        return !failedTargets.isEmpty();
    }

    /**
     * Whether the proxy has just failed for a target, so that another had better be taken if there is one.
     *
     * @param target the target
     * @param nowNanos the time
     */
    boolean isAvoidedFor(ProxyTarget target, long nowNanos) {
        Long failed = failedTargets.get(address(target));
        return failed != null && nowNanos - failed < AVOIDED_NANOS;
    }

    private static String address(ProxyTarget target) {
        return target.host() + ":" + target.port();
    }

    /** An answer without a time to live is for one connection: the first to claim it. */
    boolean claim() {
        return ttlNanos > 0 || claimed.compareAndSet(false, true);
    }

    Duration age(long nowNanos) {
        return Duration.ofNanos(nowNanos - answeredAtNanos);
    }

    /** When it expires, on the clock of {@link System#nanoTime}. */
    long expiresAtNanos() {
        return answeredAtNanos + ttlNanos;
    }

    /**
     * Notes how old it is. The store does this whenever it is asked, since it has looked at the clock already: a second look
     * would cost as much as the look-up.
     */
    void seenAt(long nowNanos) {
        Age before = age;
        if (before == Age.EXPIRED) {
            return;
        }
        long old = nowNanos - answeredAtNanos;
        if (old >= ttlNanos) {
            age = Age.EXPIRED;
        } else if (before == Age.FRESH && old >= refreshAfterNanos) {
            age = Age.DUE;
        }
    }

    /** How old it was when the store was last asked for it. */
    Age age() {
        return age;
    }

    /** Whether the same proxy was meant, by the service's name for it or by its address. */
    boolean isSameProxy(Answer other) {
        if (proxyId != null && other.proxyId != null) {
            return proxyId.equals(other.proxyId);
        }
        return Objects.equals(proxy, other.proxy);
    }

    boolean leadsTo(ProxyUrl url) {
        return Objects.equals(proxy, url);
    }

    @Override
    public String toString() {
        return (proxy == null ? "no proxy" : proxy.toString()) + (proxyId == null ? "" : " (" + proxyId + ")") + ", "
                + fallbackPolicy.id();
    }
}
