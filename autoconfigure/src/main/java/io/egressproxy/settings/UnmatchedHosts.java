package io.egressproxy.settings;

/** What a transparent client does for a host that no exchange claims. */
public enum UnmatchedHosts {
    /** It takes the route of {@code proxy.default}. */
    DEFAULT,
    /** It connects directly. */
    DIRECT
}
