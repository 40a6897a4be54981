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

/**
 * Where the service is, and which endpoint is asked first: the one that answered last, and to begin with one that depends on the
 * client's id, so that a fleet spreads. Endpoints that are down come last. Thread-safe.
 */
final class ServiceEndpoints {

    /** One address of the service. */
    static final class Endpoint {
        private final URI url;
        private volatile long downUntilNanos;
        private volatile boolean down;

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

        @Override
        public String toString() {
            return url.toString();
        }
    }

    private final LongSupplier nanoTime;
    private final int preference;
    private volatile List<Endpoint> endpoints = List.of();
    private volatile @Nullable Endpoint lastGood;

    ServiceEndpoints(Collection<URI> urls, String clientId, LongSupplier nanoTime) {
        this.nanoTime = nanoTime;
        this.preference = clientId.hashCode();
        replace(urls);
    }

    /** The endpoints are these from now on; what is known of those that stay is kept. */
    synchronized void replace(Collection<URI> urls) {
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
    }

    List<Endpoint> all() {
        return endpoints;
    }

    /** All endpoints in the order in which they are to be asked. */
    List<Endpoint> inOrder() {
        List<Endpoint> all = endpoints;
        if (all.size() < 2) {
            return all;
        }
        Endpoint good = lastGood;
        int first = good == null ? -1 : all.indexOf(good);
        if (first < 0) {
            first = Math.floorMod(preference, all.size());
        }
        long now = nanoTime.getAsLong();
        List<Endpoint> up = new ArrayList<>(all.size());
        List<Endpoint> down = new ArrayList<>();
        for (int i = 0; i < all.size(); i++) {
            Endpoint endpoint = all.get((first + i) % all.size());
            (endpoint.isDown(now) ? down : up).add(endpoint);
        }
        up.addAll(down);
        return up;
    }

    /** An endpoint has given a usable answer. */
    void answered(Endpoint endpoint) {
        endpoint.down = false;
        lastGood = endpoint;
    }

    /** An endpoint can be reached, whatever it answers. */
    void reachable(Endpoint endpoint) {
        endpoint.down = false;
    }

    /** An endpoint had better not be asked for a while, if there is another. */
    void down(Endpoint endpoint, Duration time) {
        endpoint.downUntilNanos = nanoTime.getAsLong() + time.toNanos();
        endpoint.down = true;
    }

    /** Whether every endpoint is down; also true if there is none. */
    boolean areAllDown() {
        for (Endpoint endpoint : endpoints) {
            if (!endpoint.down || !endpoint.isDown(nanoTime.getAsLong())) { // one that is up costs no look at the clock
                return false;
            }
        }
        return true;
    }
}
