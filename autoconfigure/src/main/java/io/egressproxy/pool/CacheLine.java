package io.egressproxy.pool;

/**
 * Keeps what a subclass counts off the cache line of the object's header. The type of a strategy is looked at for each connection, and each look would
 * fetch the line back that another thread has just counted on.
 */
@SuppressWarnings("UnusedVariable") // that they are there is enough
abstract class CacheLine {
    private long before1;
    private long before2;
    private long before3;
    private long before4;
    private long before5;
    private long before6;
    private long before7;
}
