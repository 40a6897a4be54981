package io.egressproxy.sample.feed;

import com.fasterxml.jackson.annotation.JsonValue;
import java.util.Locale;

/** How a feed arrives. */
enum ConnectionType {
    HTTP,
    WEBSOCKET;

    @JsonValue
    String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
