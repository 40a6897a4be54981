package io.egressproxy.settings;

/** When a connection that has no usable proxy may be made without one. */
public enum DirectFallback {
    /** When the proxy service says so. */
    WHEN_DIRECTED,
    /** Whenever no proxy is left. */
    ALWAYS,
    /** Not at all. */
    NEVER
}
