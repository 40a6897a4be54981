package io.egressproxy;

import java.time.Duration;

/** How the use of a proxy ended. */
public sealed interface Outcome {

    /**
     * The connection was of use.
     *
     * @param latency from asking for the connection until the tunnel stood
     */
    record Succeeded(Duration latency) implements Outcome {}

    /**
     * The connection failed.
     *
     * @param stage how far it had come
     * @param blame whose fault it was
     * @param detail what was seen, without secrets
     */
    record Failed(ConnectionStage stage, Blame blame, String detail) implements Outcome {}

    /** Nobody wanted the connection any more; it says nothing about the proxy. */
    record Cancelled() implements Outcome {}
}
