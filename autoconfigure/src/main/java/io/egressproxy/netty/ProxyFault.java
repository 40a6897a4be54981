package io.egressproxy.netty;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;
import io.egressproxy.Outcome;
import java.time.Duration;
import org.jspecify.annotations.Nullable;

/**
 * What went wrong on the way through a proxy.
 *
 * @param stage how far the attempt had come
 * @param blame whose fault it was
 * @param detail what was seen, after the name of the proxy; without secrets
 * @param advice what to do about it
 * @param retryAfter when the proxy wants to be asked for this target again, counted from now, or null if it did not say
 * @param timedOut whether it did not answer in time
 */
record ProxyFault(
        ConnectionStage stage,
        Blame blame,
        String detail,
        String advice,
        @Nullable Duration retryAfter,
        boolean timedOut) {
    ProxyFault(ConnectionStage stage, Blame blame, String detail, String advice) {
        this(stage, blame, detail, advice, null, false);
    }

    ProxyFault byTimeout() {
        return new ProxyFault(stage, blame, detail, advice, retryAfter, true);
    }

    Outcome.Failed outcome() {
        return new Outcome.Failed(stage, blame, detail, retryAfter, timedOut);
    }
}
