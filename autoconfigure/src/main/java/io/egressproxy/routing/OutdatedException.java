package io.egressproxy.routing;

/** A pool goes by newer settings than the decision that asks it. Never leaves this package; without a stack trace, since it is no fault. */
final class OutdatedException extends RuntimeException {
    OutdatedException() {
        super("the settings are being changed", null, false, false);
    }
}
