package io.egressproxy;

import java.time.Duration;
import org.jspecify.annotations.Nullable;

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
     * @param retryAfter when the proxy wants to be asked for this target again, counted from now, or null if it did not say
     * @param timedOut whether it failed by not answering in time
     */
    record Failed(ConnectionStage stage, Blame blame, String detail, @Nullable Duration retryAfter, boolean timedOut)
            implements Outcome {

        /**
         * A failure of a proxy that answered, and did not say when to come again.
         *
         * @param stage how far the connection had come
         * @param blame whose fault it was
         * @param detail what was seen, without secrets
         */
        public Failed(ConnectionStage stage, Blame blame, String detail) {
            this(stage, blame, detail, null, false);
        }
    }

    /** Nobody wanted the connection any more; it says nothing about the proxy. */
    record Cancelled() implements Outcome {}
}
