package io.egressproxy;

import java.net.InetAddress;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What a connection has to do. Exactly one of three; a missing value never means "direct". */
public sealed interface ProxyDecision {

    /**
     * Where it comes from, in the words of metrics and logs.
     *
     * @return {@code service}, {@code cache}, {@code stale}, {@code embedded}, {@code direct} or {@code refused}
     */
    default String sourceId() {
        if (this instanceof UseProxy use) {
            return use.source().isEmbedded() ? "embedded" : use.source().id();
        }
        return this instanceof Direct ? "direct" : "refused";
    }

    /**
     * Connect through this proxy.
     *
     * @param proxy the proxy
     * @param timeout how long connecting to it and its handshake may take together
     * @param sslBundle the SSL bundle that holds what the proxy's certificate is trusted by and our own key for it; null
     *     for the JVM's trust
     * @param source where the proxy was found
     */
    record UseProxy(ProxyUrl proxy, Duration timeout, @Nullable String sslBundle, Source source)
            implements ProxyDecision {
        @Override
        public String toString() {
            return "via " + proxy + " (" + source.id() + ")";
        }
    }

    /**
     * Connect without a proxy.
     *
     * @param reason why that is right
     */
    record Direct(Reason reason) implements ProxyDecision {
        @Override
        public String toString() {
            return "DIRECT (" + reason.text() + ")";
        }
    }

    /**
     * Do not connect.
     *
     * @param reason why not, and what to do about it, without secrets
     */
    record Refuse(String reason) implements ProxyDecision {
        @Override
        public String toString() {
            return "REFUSED (" + reason + ")";
        }
    }

    /** Where a proxy was found. */
    enum Source {
        /** In the exchange's own settings. */
        EXCHANGE,
        /** In {@code proxy.default}. */
        DEFAULT,
        /** In an answer that the proxy service gave for this connection. */
        SERVICE,
        /** In an answer that the proxy service gave earlier. */
        CACHE,
        /** In an answer of the proxy service that has expired, while the service is away. */
        STALE;

        /**
         * Whether the proxy comes from the application's own settings.
         *
         * @return false if a service named it
         */
        public boolean isEmbedded() {
            return this == EXCHANGE || this == DEFAULT;
        }

        /**
         * Whether a proxy found here may be connected to at an address. A service must not lead an application to what only
         * its own machine can reach, such as a cloud's metadata service.
         *
         * @param address where the proxy's name leads
         * @return false for link-local, multicast and unspecified addresses of a service's proxy
         */
        public boolean allows(InetAddress address) {
            return isEmbedded()
                    || !(address.isLinkLocalAddress() || address.isMulticastAddress() || address.isAnyLocalAddress());
        }

        /**
         * The name used in logs.
         *
         * @return for example {@code exchange}
         */
        public String id() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** Why a connection needs no proxy. */
    enum Reason {
        /** The target's host is on {@code proxy.no-proxy}. */
        BYPASS("no-proxy"),
        /** The exchange's entry says {@code direct: true}. */
        CONFIGURED("configured"),
        /** Neither the exchange nor the default has a proxy for this connection type. */
        NOT_CONFIGURED("not configured"),
        /** No exchange claims the host and {@code proxy.unmatched-hosts} is {@code direct}. */
        UNMATCHED_HOST("unmatched host"),
        /** The proxy service says so, no proxy is left, and {@code proxy.direct-fallback} is not {@code never}. */
        DIRECTED("fallback, as the proxy service says"),
        /** No proxy is left and {@code proxy.direct-fallback} is {@code always}. */
        FALLBACK("fallback, no proxy left"),
        /** {@code proxy.enabled} is false. */
        DISABLED("proxy.enabled is false");

        private final String text;

        Reason(String text) {
            this.text = text;
        }

        /**
         * The reason in words.
         *
         * @return for example {@code not configured}
         */
        public String text() {
            return text;
        }
    }
}
