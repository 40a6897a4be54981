package io.egressproxy.settings;

/** What a pool does when none of its proxies is usable. */
public enum OnExhausted {
    /** Tries the proxy that is expected back first. */
    LAST_RESORT,
    /** Takes the default's route. */
    DEFAULT,
    /** Fails the connection. */
    FAIL
}
