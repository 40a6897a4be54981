package io.egressproxy.service;

import java.io.IOException;
import java.time.Duration;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** The proxy service gave no usable answer. Its message holds neither the answer nor any secret. */
public final class ProxyServiceException extends IOException {

    /** What went wrong, from a closed list; used in logs and metrics. */
    public enum Reason {
        /** Refused, reset, unknown host. */
        UNREACHABLE(true),
        /** No whole answer in time. */
        TIMEOUT(true),
        /** TLS failed: an expired certificate, another host's, one that is not trusted. */
        TLS(true),
        /** A status of 500 or more. */
        SERVER_ERROR(true),
        /** 429. */
        THROTTLED(true),
        /** 404, or a redirect: not this service. */
        NOT_FOUND(true),
        /** An answer that is too large, not JSON, or breaks the contract. */
        INVALID_ANSWER(true),
        /** 400 or 422: it is our request that is wrong, and would be everywhere. */
        REJECTED(false),
        /** 401 or 403: it is our credentials, and they are the same everywhere. */
        UNAUTHORIZED(false);

        private final boolean worthAnotherEndpoint;

        Reason(boolean worthAnotherEndpoint) {
            this.worthAnotherEndpoint = worthAnotherEndpoint;
        }

        /**
         * Whether another endpoint might do better.
         *
         * @return false if the fault is ours
         */
        public boolean isWorthAnotherEndpoint() {
            return worthAnotherEndpoint;
        }

        /**
         * The name used in logs and metrics.
         *
         * @return for example {@code server_error}
         */
        public String id() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    /** How each message begins. */
    static final String THE_SERVICE = "the proxy service ";

    private final Reason reason;
    private final @Nullable Duration retryAfter;
    private final @Nullable String correlationId;

    /**
     * A failed request.
     *
     * @param reason what went wrong
     * @param detail in words, without secrets
     * @param retryAfter when the service wants to be asked again, counted from now, or null if it did not say
     * @param cause the technical cause, or null
     */
    public ProxyServiceException(
            Reason reason, String detail, @Nullable Duration retryAfter, @Nullable Throwable cause) {
        this(THE_SERVICE + detail, reason, retryAfter, null);
        if (cause != null) {
            initCause(cause);
        }
    }

    private ProxyServiceException(
            String message, Reason reason, @Nullable Duration retryAfter, @Nullable String correlationId) {
        super(message);
        this.reason = reason;
        this.retryAfter = retryAfter;
        this.correlationId = correlationId;
    }

    /** The same, of a request that was sent with this id. */
    ProxyServiceException of(String requestId) {
        ProxyServiceException same = new ProxyServiceException(
                getMessage() + " (correlation id " + requestId + ")", reason, retryAfter, requestId);
        same.initCause(getCause());
        return same;
    }

    /**
     * What the request was sent with.
     *
     * @return the correlation id, or null if no request was made
     */
    public @Nullable String correlationId() {
        return correlationId;
    }

    /**
     * What went wrong.
     *
     * @return the reason
     */
    public Reason reason() {
        return reason;
    }

    /**
     * When the service wants to be asked again.
     *
     * @return 1 s to 5 min, or null if it did not say
     */
    public @Nullable Duration retryAfter() {
        return retryAfter;
    }
}
