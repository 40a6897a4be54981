package io.egressproxy;

/** Text that is not the URL of a proxy. The message says what to write instead and never holds a credential. */
public final class InvalidProxyUrlException extends IllegalArgumentException {
    InvalidProxyUrlException(String masked, String problem) {
        super("the proxy URL " + masked + " " + problem);
    }
}
