package io.egressproxy;

import java.util.Locale;

/** Who is to blame for a failed connection. Only failures of the proxy itself count against the proxy. */
public enum Blame {
    /** The proxy: its name does not resolve, it refuses, cannot be reached, does not answer, its TLS fails. */
    PROXY,
    /** The user name or password that we present to the proxy. */
    CREDENTIALS,
    /** What answers is not a proxy of the configured kind. */
    CONFIGURATION,
    /** The proxy works, but does not let us reach this target. */
    POLICY,
    /** The proxy or the target: what was seen fits both. */
    AMBIGUOUS,
    /** The target, or what lies between the proxy and the target. */
    TARGET,
    /** This machine or this application: cancelled, no network, out of descriptors. */
    LOCAL;

    /**
     * The name used in logs, metrics and on the wire.
     *
     * @return for example {@code proxy}
     */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }
}
