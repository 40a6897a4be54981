package io.egressproxy.testkit;

import java.util.List;
import java.util.Map;

/**
 * A connection that reached the target, with the requests that came over it so far.
 *
 * @param peerAddress the address of the caller: that of the proxy, if one was used
 * @param peerPort the port of the caller
 * @param tls whether it came to the TLS port
 * @param requests none when nothing, or no HTTP, was sent
 */
public record Seen(String peerAddress, int peerPort, boolean tls, List<Request> requests) {

    /**
     * A request as the target got it.
     *
     * @param method the method
     * @param uri the request target, in whatever form it was sent
     * @param protocol for example {@code HTTP/1.1} or {@code HTTP/2.0}
     * @param headers the values by lower case name
     */
    public record Request(String method, String uri, String protocol, Map<String, List<String>> headers) {

        /** The request line, as HTTP/1.1 would write it. */
        public String line() {
            return method + " " + uri + " " + protocol;
        }
    }
}
