package io.egressproxy.pool;

import io.egressproxy.ProxyTarget;
import io.egressproxy.ProxyUrl;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/**
 * Which proxies of a pool had better not be asked for a target for now: those that would not or could not reach it a moment ago,
 * and those that said when to ask again. It says nothing about other targets.
 *
 * <p>Without this memory a proxy that forbids one target would cost each rotation an attempt, and three such proxies a
 * connection. Thread-safe and bounded; empty, and free, as long as nothing fails.
 */
final class AvoidedProxies {
    /** How long another proxy is preferred; short, since the reason may go away at any time and the detour is cheap. */
    private static final Duration PREFERENCE = Duration.ofSeconds(5);

    private static final int MOST_TARGETS = 1_000;
    private static final int MOST_PREFERRED = 50;
    private static final int MOST_DEMANDED = 1_000;

    /**
     * @param untilNanos when it ends
     * @param demanded whether the proxy itself asked for it: then it holds even if no other proxy is left
     */
    private record Pause(long untilNanos, boolean demanded) {}

    private final Map<ProxyTarget, Map<ProxyUrl, Pause>> targets = new ConcurrentHashMap<>();

    boolean isEmpty() {
        return targets.isEmpty();
    }

    /** Other proxies are preferred for the target for a while. */
    void prefer(ProxyTarget target, ProxyUrl overThis, long nowNanos) {
        add(target, overThis, new Pause(nowNanos + PREFERENCE.toNanos(), false), nowNanos);
    }

    /** The proxy does not want to be asked for the target for some time. */
    void pause(ProxyTarget target, ProxyUrl proxy, Duration duration, long nowNanos) {
        add(target, proxy, new Pause(nowNanos + duration.toNanos(), true), nowNanos);
    }

    private void add(ProxyTarget target, ProxyUrl proxy, Pause pause, long nowNanos) {
        if (targets.size() >= MOST_TARGETS) {
            targets.values().removeIf(pauses -> without(pauses, nowNanos).isEmpty());
        }
        if (targets.size() >= MOST_TARGETS && !targets.containsKey(target)) {
            return; // it costs an attempt now and then
        }
        targets.compute(target, (key, pauses) -> {
            Map<ProxyUrl, Pause> longer = pauses == null ? new HashMap<>() : new HashMap<>(without(pauses, nowNanos));
            if (longer.size() < (pause.demanded() ? MOST_DEMANDED : MOST_PREFERRED)) { // so many that it is the target
                longer.put(proxy, pause);
            }
            return Map.copyOf(longer);
        });
    }

    /** The proxy has reached the target. */
    void reached(ProxyTarget target, ProxyUrl proxy) {
        targets.computeIfPresent(target, (key, pauses) -> {
            if (!pauses.containsKey(proxy)) {
                return pauses;
            }
            Map<ProxyUrl, Pause> shorter = new HashMap<>(pauses);
            shorter.remove(proxy);
            return shorter.isEmpty() ? null : Map.copyOf(shorter);
        });
    }

    /**
     * The proxies that a connection had better not get.
     *
     * @param target where it goes
     * @param tried those it has tried
     * @param onlyDemanded whether a mere preference counts
     * @param nowNanos the time
     * @return those tried, and those avoided
     */
    Collection<ProxyUrl> with(Collection<ProxyUrl> tried, ProxyTarget target, boolean onlyDemanded, long nowNanos) {
        Map<ProxyUrl, Pause> pauses = targets.get(target);
        if (pauses == null) {
            return tried;
        }
        Set<ProxyUrl> leftOut = null;
        boolean expired = true;
        for (Map.Entry<ProxyUrl, Pause> entry : pauses.entrySet()) {
            boolean counts = entry.getValue().untilNanos() - nowNanos > 0;
            expired &= !counts;
            if (counts && (entry.getValue().demanded() || !onlyDemanded)) {
                leftOut = leftOut == null ? new HashSet<>(tried) : leftOut;
                leftOut.add(entry.getKey());
            }
        }
        if (expired) {
            targets.remove(target, pauses);
        }
        return leftOut == null ? tried : leftOut;
    }

    /**
     * Whether a proxy had better not be asked for a target.
     *
     * @param onlyDemanded whether a mere preference counts
     */
    boolean avoids(ProxyTarget target, ProxyUrl proxy, boolean onlyDemanded, long nowNanos) {
        Map<ProxyUrl, Pause> pauses = targets.get(target);
        Pause pause = pauses == null ? null : pauses.get(proxy);
        return pause != null && (pause.demanded() || !onlyDemanded) && pause.untilNanos() - nowNanos > 0;
    }

    private static Map<ProxyUrl, Pause> without(Map<ProxyUrl, Pause> pauses, long nowNanos) {
        Map<ProxyUrl, Pause> left = new HashMap<>(pauses);
        left.values().removeIf(pause -> pause.untilNanos() - nowNanos <= 0);
        return left;
    }
}
