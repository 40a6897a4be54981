package io.egressproxy;

import java.time.Duration;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Mono;

/**
 * A way to see whether a proxy works. A bean of this type is used by the pools whose {@code health-check.method} is its name.
 *
 * <p>Called for many proxies from few threads: it must not block.
 */
@FunctionalInterface
public interface HealthCheck {

    /**
     * What is to be checked.
     *
     * @param proxy the proxy
     * @param sslBundle the SSL bundle for it, or null for the JVM's trust
     * @param url what {@code health-check.url} says, or null
     * @param expectedStatus what {@code health-check.expected-status} says, for example {@code 200-299}
     * @param timeout when the check is cancelled and counts as failed
     */
    record Request(
            ProxyUrl proxy,
            @Nullable String sslBundle,
            @Nullable String url,
            String expectedStatus,
            Duration timeout) {}

    /** How much of a proxy a check shows to work. What failed at one level is only healed by a success at that level. */
    enum Level {
        /** Its machine answers. */
        HOST,
        /** Its port accepts connections. */
        TCP,
        /** It speaks its protocol and takes our credentials. */
        HANDSHAKE,
        /** It reaches a target. */
        TARGET
    }

    /**
     * Checks a proxy once.
     *
     * @param request what is to be checked
     * @return completes if the proxy works, fails with the reason if it does not; cancelled when the time is up
     */
    Mono<Void> check(Request request);

    /**
     * How much a success of this check shows.
     *
     * @return {@link Level#TARGET} unless it says otherwise
     */
    default Level level() {
        return Level.TARGET;
    }
}
