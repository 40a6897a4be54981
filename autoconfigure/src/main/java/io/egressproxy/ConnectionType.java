package io.egressproxy;

import java.util.Locale;

/** What a connection is for; each type of an exchange has a route of its own, and they never stand in for each other. */
public enum ConnectionType {
    /** Requests and answers: REST calls, over HTTP/1.1 or HTTP/2, with or without TLS. */
    HTTP,
    /** A WebSocket, with or without TLS. */
    WEBSOCKET;

    /**
     * The name used in keys, logs and on the wire.
     *
     * @return {@code http} or {@code websocket}
     */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
