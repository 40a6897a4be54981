package io.egressproxy.service;

import java.time.Duration;

/** Whether the service is left alone for its failures. Thread-safe; costs no I/O. */
public interface ServiceBreaker {

    /**
     * Whether the service is being left alone. Takes no permission.
     *
     * @return true while calls are not permitted
     */
    boolean isOpen();

    /**
     * Its state in a word, for people.
     *
     * @return for example {@code closed}
     */
    default String state() {
        return isOpen() ? "open" : "closed";
    }

    /**
     * Asks for the permission to call the service; who has it must report once.
     *
     * @return false while the service is left alone
     */
    boolean tryAcquire();

    /**
     * A call succeeded.
     *
     * @param took how long it took
     */
    void succeeded(Duration took);

    /**
     * A call failed for the service's fault.
     *
     * @param took how long it took
     * @param cause why
     */
    void failed(Duration took, Throwable cause);

    /** A call says nothing about the service; its permission goes back. */
    void released();

    /** There is reason to believe that the service is back: the next call may try it. */
    void suspectRecovery();
}
