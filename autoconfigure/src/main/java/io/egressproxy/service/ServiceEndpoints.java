package io.egressproxy.service;

import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;

/**
 * Where the service is, and which endpoint is asked first: the one that answered last, and to begin with one that depends on the
 * client's id, so that a fleet spreads. Endpoints that are down come last. Thread-safe.
 */
final class ServiceEndpoints {

    /** One address of the service. */
    static final class Endpoint {
        private final URI url;
        private volatile long downUntilNanos;
        private volatile boolean down; // by its health checks
        private volatile long avoidedUntilNanos;
        private volatile boolean avoided; // by requests: one that fails may be an accident
        private volatile long leftAloneUntilNanos;
        private volatile boolean leftAlone; // as it asked for itself

        private Endpoint(URI url) {
            this.url = url;
        }

        URI url() {
            return url;
        }

        /** A path below the endpoint. */
        URI resolve(String path) {
            String base = url.toString();
            return URI.create((base.endsWith("/") ? base.substring(0, base.length() - 1) : base) + path);
        }

        boolean isDown(long nowNanos) {
            return down && nowNanos - downUntilNanos < 0;
        }

        boolean isAvoided(long nowNanos) {
            return avoided && nowNanos - avoidedUntilNanos < 0;
        }

        boolean isLeftAlone(long nowNanos) {
            return leftAlone && nowNanos - leftAloneUntilNanos < 0;
        }

        boolean isUnavailable(long nowNanos) {
            return isDown(nowNanos) || isLeftAlone(nowNanos);
        }

        @Override
        public String toString() {
            return url.toString();
        }
    }

    private final LongSupplier nanoTime;
    private final int preference;
    private final Sinks.Empty<Void> known = Sinks.empty();
    private volatile boolean isKnown;
    private volatile int preferred;
    private volatile List<Endpoint> endpoints = List.of();
    private volatile @Nullable Endpoint lastGood;

    ServiceEndpoints(Collection<URI> urls, String clientId, LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
        this.preference = clientId.hashCode();
        if (!urls.isEmpty()) {
            replace(urls, urls.size());
        }
    }

    /**
     * The endpoints are these from now on; what is known of those that stay is kept.
     *
     * @param urls in their order
     * @param best how many of them, from the first on, are to be preferred, each by its share of the clients
     */
    synchronized void replace(Collection<URI> urls, int best) {
        Map<URI, Endpoint> known = new LinkedHashMap<>();
        endpoints.forEach(endpoint -> known.put(endpoint.url(), endpoint));
        List<Endpoint> next = urls.stream()
                .distinct()
                .map(url -> known.getOrDefault(url, new Endpoint(url)))
                .toList();
        Endpoint good = lastGood;
        if (good != null && !next.contains(good)) {
            lastGood = null;
        }
        endpoints = next;
        preferred = Math.max(1, Math.min(best, next.size()));
        lookedUp();
    }

    /** Somebody has looked for endpoints, whether there are any or not. */
    void lookedUp() {
        isKnown = true;
        known.tryEmitEmpty();
    }

    /** Completes when there are endpoints, or it is known that there are none. */
    Mono<Void> known() {
        return isKnown ? Mono.empty() : known.asMono();
    }

    /** Each endpoint with {@code up}, {@code down}, {@code avoided} or {@code left_alone}. */
    Map<String, String> states() {
        long now = nanoTime.getAsLong();
        Map<String, String> states = new LinkedHashMap<>();
        for (Endpoint endpoint : endpoints) {
            states.put(
                    endpoint.toString(),
                    endpoint.isDown(now)
                            ? "down"
                            : endpoint.isLeftAlone(now) ? "left_alone" : endpoint.isAvoided(now) ? "avoided" : "up");
        }
        return states;
    }

    List<Endpoint> all() {
        return endpoints;
    }

    /** The endpoints in the order in which they are to be asked, without those that want to be left alone. */
    List<Endpoint> inOrder() {
        List<Endpoint> all = endpoints;
        Endpoint good = lastGood;
        int first = good == null ? -1 : all.indexOf(good);
        if (first < 0) {
            first = Math.floorMod(preference, preferred);
        }
        long now = nanoTime.getAsLong();
        List<Endpoint> up = new ArrayList<>(all.size());
        List<Endpoint> down = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            Endpoint endpoint = all.get((first + i) % all.size());
            if (!endpoint.isLeftAlone(now)) {
                (endpoint.isDown(now) || endpoint.isAvoided(now) ? down : up).add(endpoint);
            }
        }
        up.addAll(down);
        return up;
    }

    /** An endpoint has given a usable answer. */
    void answered(Endpoint endpoint) {
        endpoint.down = false;
        endpoint.avoided = false;
        endpoint.leftAlone = false;
        lastGood = endpoint;
    }

    /** An endpoint can be reached, whatever it answers. */
    void reachable(Endpoint endpoint) {
        endpoint.down = false;
    }

    /** A request to an endpoint has failed: others had better be asked first for a while. */
    void avoid(Endpoint endpoint, Duration time) {
        endpoint.avoidedUntilNanos = nanoTime.getAsLong() + time.toNanos();
        endpoint.avoided = true;
    }

    /** An endpoint wants to be left alone, and is, however healthy it may seem. */
    void leaveAlone(Endpoint endpoint, Duration time) {
        endpoint.leftAloneUntilNanos = nanoTime.getAsLong() + time.toNanos();
        endpoint.leftAlone = true;
    }

    /** An endpoint cannot be reached: it does not answer its health checks. */
    void down(Endpoint endpoint, Duration time) {
        endpoint.downUntilNanos = nanoTime.getAsLong() + time.toNanos();
        endpoint.down = true;
    }

    /** Whether no endpoint may be asked; also true if there is none, but not before somebody has looked. */
    boolean areAllUnavailable() {
        for (Endpoint endpoint : endpoints) {
            // one that is up costs no look at the clock
            if (!(endpoint.down || endpoint.leftAlone) || !endpoint.isUnavailable(nanoTime.getAsLong())) {
                return false;
            }
        }
        return isKnown;
    }
}
