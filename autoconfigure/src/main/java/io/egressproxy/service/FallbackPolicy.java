package io.egressproxy.service;

import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** What the service wants to happen when its proxy fails or it has none. */
public enum FallbackPolicy {
    /** Use the proxies in the application's own settings. */
    EMBEDDED_FALLBACK,
    /** Connect without a proxy, if the application's settings let it. */
    DIRECT_CONNECTION;

    /** Anything unknown is the careful choice. */
    static FallbackPolicy of(@Nullable String text) {
        return "direct_connection".equals(text) ? DIRECT_CONNECTION : EMBEDDED_FALLBACK;
    }

    /** The name on the wire. */
    String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
