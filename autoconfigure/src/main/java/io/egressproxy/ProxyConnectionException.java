package io.egressproxy;

import java.net.ConnectException;
import java.util.List;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * No connection could be opened, and it was not opened without a proxy either.
 *
 * <p>It is thrown before anything was sent to the target, so that a retry is safe for every kind of request. The message
 * names the exchange, each proxy tried with its credentials masked, the stage, who is to blame, and what to do.
 *
 * <p>A {@link ConnectException}, since that is what clients and their retry rules know for "nothing was sent".
 */
public final class ProxyConnectionException extends ConnectException {

    /**
     * One proxy that was tried.
     *
     * @param proxy the proxy
     * @param stage how far the attempt came
     * @param blame whose fault it was
     * @param detail what was seen
     * @param advice what to do about it
     */
    public record Attempt(ProxyUrl proxy, ConnectionStage stage, Blame blame, String detail, String advice) {
        @Override
        public String toString() {
            return proxy + " " + detail + " (stage " + stage.id() + ", blame " + blame.id() + "; " + advice + ")";
        }
    }

    private final transient ProxyTarget target;
    private final transient List<Attempt> attempts;
    private final @Nullable String reason;

    /**
     * A failed connection.
     *
     * @param target where it should have gone
     * @param attempts the proxies tried, in order; empty if none could be used
     * @param reason why no (other) proxy was tried; null if there is nothing to add
     * @param cause the last technical cause, or null
     */
    public ProxyConnectionException(
            ProxyTarget target, List<Attempt> attempts, @Nullable String reason, @Nullable Throwable cause) {
        super(message(target, attempts, reason));
        this.target = target;
        this.attempts = List.copyOf(attempts);
        this.reason = reason;
        if (cause != null) {
            initCause(cause);
        }
    }

    private static String message(ProxyTarget target, List<Attempt> attempts, @Nullable String reason) {
        String tried = attempts.stream().map(Attempt::toString).collect(Collectors.joining("; then "));
        return target + ": not connected"
                + (tried.isEmpty() ? "" : ", tried " + tried)
                + (reason == null ? "" : (tried.isEmpty() ? ", " : "; ") + reason)
                + ". Nothing was sent to the target, so a retry is safe.";
    }

    /**
     * Where the connection should have gone.
     *
     * @return the target
     */
    public ProxyTarget target() {
        return target;
    }

    /**
     * The proxies tried.
     *
     * @return in order; empty if none could be used
     */
    public List<Attempt> attempts() {
        return attempts;
    }

    /**
     * Why no (other) proxy was tried.
     *
     * @return the reason in words, or null
     */
    public @Nullable String reason() {
        return reason;
    }

    /**
     * Whether the same request may be sent again without being executed twice.
     *
     * @return true: this exception is only thrown before anything reached the target
     */
    public boolean isRetrySafe() {
        return true;
    }
}
