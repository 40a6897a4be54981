package io.egressproxy;

/**
 * Chooses among the usable proxies of a pool. A bean of this type is used by the pools whose {@code strategy} is its name.
 *
 * <p>One instance may serve several pools and is called for each connection, from several threads at once: it must be
 * thread-safe, quick, and must not block.
 */
@FunctionalInterface
public interface ProxySelectionStrategy {

    /** The proxies to choose from: those of a pool that are usable now. A snapshot, but for the connection counts. */
    interface Candidates {
        /**
         * How many there are.
         *
         * @return at least 1
         */
        int size();

        /**
         * One of them.
         *
         * @param index from 0 to {@link #size()} - 1
         * @return the proxy
         */
        ProxyUrl proxy(int index);

        /**
         * Its configured share.
         *
         * @param index from 0 to {@link #size()} - 1
         * @return 0.1 to 10
         */
        double weight(int index);

        /**
         * Its open connections, as this application knows them. A proxy that has just failed counts as busier, or else one
         * that fails fast would always be the least busy.
         *
         * @param index from 0 to {@link #size()} - 1
         * @return 0 or more
         */
        int activeConnections(int index);
    }

    /**
     * Chooses a proxy.
     *
     * @param candidates the proxies to choose from
     * @param target where the connection goes
     * @return an index from 0 to {@link Candidates#size()} - 1
     */
    int select(Candidates candidates, ProxyTarget target);
}
