package io.egressproxy;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What the proxy service has answered.
 *
 * @param proxy the proxy to use, or null if it has none
 * @param proxyId its name for the proxy, or null if it did not say
 * @param timeToLive how long the answer holds
 * @param fallbackPolicy what to do when the proxy fails or there is none: {@code embedded_fallback} or {@code direct_connection}
 */
public record ProxyServiceAnswer(
        @Nullable ProxyUrl proxy, @Nullable String proxyId, Duration timeToLive, String fallbackPolicy) {}
