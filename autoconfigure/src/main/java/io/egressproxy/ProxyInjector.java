package io.egressproxy;

import org.springframework.web.reactive.function.client.WebClient;
import org.springframework.web.reactive.socket.client.WebSocketClient;
import reactor.core.publisher.Mono;
import reactor.netty.http.client.HttpClient;

/**
 * Applies the routes of {@code proxy.*} to clients.
 *
 * <p>While {@code proxy.enabled} is false every client comes back as it was given and every decision is {@link
 * ProxyDecision.Direct}. While it is true, a {@code proxy(...)} or {@code resolver(...)} that the client was given
 * before gives way to the route; such a call on the returned client would undo it, so call this last.
 *
 * <p>Thread-safe. All exchange ids are compared as {@link ExchangeId} does; an id that is not configured takes the
 * route of {@code proxy.default}.
 */
public interface ProxyInjector {

    /**
     * The client with the exchange's {@code http} route.
     *
     * @param client the client to start from
     * @param exchangeId the exchange
     * @return a client whose connections are not shared with those of another exchange; build it once and keep it, each
     *     new one has its own connections
     * @throws IllegalArgumentException if the id has no valid form or the client speaks HTTP/3, which no proxy carries
     */
    default HttpClient customize(HttpClient client, String exchangeId) {
        return customize(client, exchangeId, ConnectionType.HTTP);
    }

    /**
     * The client with the exchange's route for a connection type.
     *
     * @param client the client to start from
     * @param exchangeId the exchange
     * @param type the connection type
     * @return as {@link #customize(HttpClient, String)}
     * @throws IllegalArgumentException as {@link #customize(HttpClient, String)}
     */
    HttpClient customize(HttpClient client, String exchangeId, ConnectionType type);

    /**
     * A WebSocket client with the exchange's {@code websocket} route.
     *
     * @param exchangeId the exchange
     * @return a new client
     * @throws IllegalArgumentException if the id has no valid form
     */
    WebSocketClient webSocketClient(String exchangeId);

    /**
     * A builder as Spring Boot configures it (codecs, observations, timeouts), with the exchange's {@code http} route.
     * For two exchanges on one host: by host alone they could not be told apart.
     *
     * @param exchangeId the exchange
     * @return a new builder
     * @throws IllegalArgumentException if the id has no valid form
     */
    WebClient.Builder webClient(String exchangeId);

    /**
     * What a connection opened now would do. Takes no lease.
     *
     * @param exchangeId the exchange
     * @param type the connection type
     * @return the decision
     * @throws IllegalArgumentException if the id has no valid form
     */
    Mono<ProxyDecision> decide(String exchangeId, ConnectionType type);

    /**
     * What a connection to this host opened now would do, {@code no-proxy} included. Takes no lease.
     *
     * @param exchangeId the exchange
     * @param type the connection type
     * @param host the target's host name or address
     * @return the decision
     * @throws IllegalArgumentException if the id has no valid form
     */
    Mono<ProxyDecision> decide(String exchangeId, ConnectionType type, String host);

    /**
     * A lease for a client that this library does not know. Open the connection as {@link ProxyLease#decision()} says
     * and close the lease with the outcome when it has ended.
     *
     * @param exchangeId the exchange
     * @param type the connection type
     * @return the lease, or {@link ProxyConnectionException} if the connection is refused
     * @throws IllegalArgumentException if the id has no valid form
     */
    Mono<ProxyLease> lease(String exchangeId, ConnectionType type);
}
