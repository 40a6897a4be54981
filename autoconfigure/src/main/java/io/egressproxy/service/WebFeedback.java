package io.egressproxy.service;

import io.egressproxy.RetryAfter;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.service.ServiceEndpoints.Endpoint;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.http.HttpHeaders;
import org.springframework.http.MediaType;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.scheduler.Scheduler;

/**
 * Sends reports, and finds out what the service takes: batches or single ones, compressed or not, with or without the fields that
 * the specification does not have. What it finds is remembered for a while, and then tried again. Never says that an endpoint is down:
 * that is for those who ask for proxies to find out.
 */
final class WebFeedback {
    private static final Logger log = LoggerFactory.getLogger(WebFeedback.class);
    private static final String ONE = "/api/v1/proxy/feedback";
    private static final String BATCH = "/api/v1/proxy/feedback/batch";
    private static final String REJECTED = "rejected";
    private static final String TOO_LARGE = "too_large";
    private static final int TOO_LARGE_STATUS = 413;
    private static final int MOST_HOPELESS = 8;
    private static final FeedbackReply NO_REPLY = new FeedbackReply(null);
    private static final String NOT_SUPPORTED = "not_supported";
    private static final Duration REMEMBERED = Duration.ofMinutes(10);
    private static final Duration REFUSAL_REMEMBERED = Duration.ofMinutes(1);
    private static final int SINGLE_AT_ONCE = 4;

    private final ExternalServiceSettings settings;
    private final ServiceEndpoints endpoints;
    private final ServiceConnection connection;
    private final Scheduler encoding;
    private final JsonBytes json = new JsonBytes();
    private final Memory noBatches;
    private final Memory noFeedback;
    private final Memory noGzip;
    private final Memory noExtensions;
    private final Memory refusesAll;
    private volatile boolean refusalLogged;

    /** Something that the service does not do, for a while. */
    private static final class Memory {
        private final LongSupplier nanoTime;
        private final Duration remembered;
        private volatile boolean set;
        private volatile long untilNanos;

        Memory(LongSupplier nanoTime, Duration remembered) {
            this.nanoTime = nanoTime;
            this.remembered = remembered;
        }

        boolean holds() {
            return set && nanoTime.getAsLong() - untilNanos < 0;
        }

        /** Returns whether this is news. */
        boolean remember() {
            boolean news = !set;
            untilNanos = nanoTime.getAsLong() + remembered.toNanos();
            set = true;
            return news;
        }
    }

    /** A status, and what came with it. */
    private record Answered(int status, FeedbackReply reply, @Nullable Duration retryAfter) {
        boolean isSuccess() {
            return status / 100 == 2;
        }

        boolean isMissing() {
            return status == 404 || status == 405 || status == 501;
        }

        boolean isRejection() {
            return status == 400 || status == 422;
        }

        boolean isWorthAnotherEndpoint() {
            return status == 429 || (status >= 500 && status != 501);
        }
    }

    /**
     * Sends nothing by itself.
     *
     * @param encoding where reports become bytes; may be busy for milliseconds
     */
    WebFeedback(
            ExternalServiceSettings settings,
            ServiceEndpoints endpoints,
            ServiceConnection connection,
            Scheduler encoding,
            LongSupplier nanoTime) {
        this.settings = settings;
        this.endpoints = endpoints;
        this.connection = connection;
        this.encoding = encoding;
        this.noBatches = new Memory(nanoTime, REMEMBERED);
        this.noFeedback = new Memory(nanoTime, REMEMBERED);
        this.noGzip = new Memory(nanoTime, REMEMBERED);
        this.noExtensions = new Memory(nanoTime, REMEMBERED);
        this.refusesAll = new Memory(nanoTime, REFUSAL_REMEMBERED);
    }

    Mono<FeedbackResult> send(ProxyFeedbackBatch batch) {
        return Mono.defer(() -> {
            int count = batch.reports().size();
            if (noFeedback.holds()) {
                return Mono.just(FeedbackResult.dropped(count, NOT_SUPPORTED));
            }
            if (refusesAll.holds()) {
                return Mono.just(FeedbackResult.dropped(count, REJECTED));
            }
            return noBatches.holds()
                    ? singly(batch)
                    : whole(batch, new AtomicInteger()).doOnNext(result -> {
                        if (count > 1
                                && result.dropped().getOrDefault(REJECTED, 0)
                                                + result.dropped().getOrDefault(TOO_LARGE, 0)
                                        == count
                                && refusesAll.remember()) {
                            log.warn(
                                    "The proxy service refuses all feedback; it is not told for {} s",
                                    REFUSAL_REMEMBERED.toSeconds());
                        }
                    });
        });
    }

    /**
     * One batch.
     *
     * @param hopeless how many single reports of it have been refused so far
     */
    private Mono<FeedbackResult> whole(ProxyFeedbackBatch batch, AtomicInteger hopeless) {
        boolean plain = noExtensions.holds();
        return post(batch, plain)
                .flatMap(answered -> {
                    if (answered.isSuccess()) {
                        return Mono.just(accepted(answered, batch.reports(), plain));
                    }
                    if (answered.isMissing()) {
                        if (noBatches.remember()) {
                            log.info("The proxy service takes no batches of feedback; it is told one by one");
                        }
                        return singly(batch);
                    }
                    if (answered.status() == TOO_LARGE_STATUS) {
                        return halves(batch, TOO_LARGE, hopeless);
                    }
                    if (answered.isRejection()) {
                        boolean noOutcome = batch.reports().stream().noneMatch(ProxyFeedback::isOutcome);
                        return plain || noOutcome
                                ? halves(batch, REJECTED, hopeless)
                                : plainly(batch.reports(), post(batch, true))
                                        .switchIfEmpty(Mono.defer(() -> halves(batch, REJECTED, hopeless)));
                    }
                    return Mono.just(FeedbackResult.failed(batch.reports(), failure(answered)));
                })
                .onErrorResume(
                        ProxyServiceException.class,
                        failure -> Mono.just(FeedbackResult.failed(batch.reports(), failure)));
    }

    /** The same without what the specification does not have; empty if that is no better. */
    private Mono<FeedbackResult> plainly(List<ProxyFeedback> reports, Mono<Answered> posted) {
        return posted.filter(answered -> !answered.isRejection()).map(answered -> {
            if (!answered.isSuccess()) {
                return FeedbackResult.failed(reports, failure(answered));
            }
            if (noExtensions.remember()) {
                log.info("The proxy service takes feedback with the fields of the specification only");
            }
            return accepted(answered, reports, true);
        });
    }

    /** Both halves one after the other, down to what is refused by itself; not for long if that is everything. */
    private Mono<FeedbackResult> halves(ProxyFeedbackBatch batch, String reason, AtomicInteger hopeless) {
        List<ProxyFeedback> reports = batch.reports();
        int count = reports.size();
        if (count == 1 || hopeless.get() >= MOST_HOPELESS) {
            hopeless.incrementAndGet();
            return Mono.just(refused(reports, reason));
        }
        return whole(part(batch, 1, reports.subList(0, count / 2)), hopeless)
                .flatMap(first -> whole(part(batch, 2, reports.subList(count / 2, count)), hopeless)
                        .map(first::and));
    }

    private static ProxyFeedbackBatch part(ProxyFeedbackBatch batch, int number, List<ProxyFeedback> reports) {
        return new ProxyFeedbackBatch(batch.batchId() + "." + number, batch.clientId(), reports);
    }

    private FeedbackResult refused(List<ProxyFeedback> reports, String reason) {
        if (!refusalLogged) {
            refusalLogged = true;
            log.warn(
                    "The proxy service refuses {} ({}); it is dropped, and so will be others like it without a word",
                    reports.get(0),
                    reason);
        }
        return FeedbackResult.dropped(reports.size(), reason);
    }

    private Mono<FeedbackResult> singly(ProxyFeedbackBatch batch) {
        return Flux.fromIterable(batch.reports())
                .flatMap(this::single, SINGLE_AT_ONCE)
                .reduce(FeedbackResult.accepted(0, List.of()), FeedbackResult::and);
    }

    private Mono<FeedbackResult> single(ProxyFeedback report) {
        boolean plain = noExtensions.holds();
        List<ProxyFeedback> alone = List.of(report);
        if (noFeedback.holds() || (plain && !report.isOutcome())) {
            return Mono.just(FeedbackResult.dropped(1, NOT_SUPPORTED));
        }
        return post(report, plain)
                .flatMap(answered -> {
                    if (answered.isSuccess()) {
                        return Mono.just(accepted(answered, alone, plain));
                    }
                    if (answered.isMissing()) {
                        if (noFeedback.remember()) {
                            log.info(
                                    "The proxy service takes no feedback; it is not told for {} min",
                                    REMEMBERED.toMinutes());
                        }
                        return Mono.just(FeedbackResult.dropped(1, NOT_SUPPORTED));
                    }
                    if (answered.status() == TOO_LARGE_STATUS) {
                        return Mono.just(refused(alone, TOO_LARGE));
                    }
                    if (answered.isRejection()) {
                        return (plain || !report.isOutcome()
                                        ? Mono.<FeedbackResult>empty()
                                        : plainly(alone, post(report, true)))
                                .switchIfEmpty(Mono.fromSupplier(() -> refused(alone, REJECTED)));
                    }
                    return Mono.just(FeedbackResult.failed(alone, failure(answered)));
                })
                .onErrorResume(
                        ProxyServiceException.class, failure -> Mono.just(FeedbackResult.failed(alone, failure)));
    }

    private static FeedbackResult accepted(Answered answered, List<ProxyFeedback> reports, boolean plain) {
        int taken =
                plain ? (int) reports.stream().filter(ProxyFeedback::isOutcome).count() : reports.size();
        List<String> invalidate = answered.reply().invalidate();
        return FeedbackResult.accepted(taken, invalidate == null ? List.of() : invalidate)
                .and(FeedbackResult.dropped(reports.size() - taken, NOT_SUPPORTED));
    }

    private Mono<Answered> post(ProxyFeedbackBatch batch, boolean plain) {
        List<ProxyFeedback> reports = batch.reports().stream()
                .filter(report -> !plain || report.isOutcome())
                .map(report -> plain ? report.plain() : report)
                .toList();
        if (reports.isEmpty()) { // nothing that it would understand
            return Mono.just(new Answered(200, NO_REPLY, null));
        }
        return post(
                BATCH,
                batch.batchId(),
                confidential -> new ProxyFeedbackBatch(
                        batch.batchId(),
                        batch.clientId(),
                        confidential
                                ? reports
                                : reports.stream()
                                        .map(ProxyFeedback::withoutUrl)
                                        .toList()));
    }

    private Mono<Answered> post(ProxyFeedback report, boolean plain) {
        String correlationId = report.correlationId() == null ? "" : report.correlationId();
        ProxyFeedback shown = plain ? report.plain() : report;
        return post(ONE, correlationId, confidential -> confidential ? shown : shown.withoutUrl());
    }

    private Mono<Answered> post(String path, String correlationId, Function<Boolean, Object> body) {
        List<Endpoint> order = endpoints.inOrder();
        return order.isEmpty()
                ? Mono.error(new ProxyServiceException(Reason.UNREACHABLE, "has no endpoint", null, null))
                : post(order, 0, path, correlationId, body, true);
    }

    private Mono<Answered> post(
            List<Endpoint> order,
            int index,
            String path,
            String correlationId,
            Function<Boolean, Object> body,
            boolean firstCredentials) {
        Endpoint endpoint = order.get(index);
        boolean last = index + 1 == order.size();
        boolean gzip = !noGzip.holds();
        AuthCredentials sent = connection.credentials();
        return Mono.fromCallable(() -> json.encode(body.apply(ExternalServiceSettings.isConfidential(endpoint.url()))))
                .subscribeOn(encoding)
                .flatMap(bytes -> post(endpoint, path, correlationId, sent, bytes, gzip))
                .flatMap(answered -> {
                    if (answered.status() == 415 && gzip) {
                        if (noGzip.remember()) {
                            log.info("The proxy service takes no compressed feedback");
                        }
                        return post(order, index, path, correlationId, body, firstCredentials);
                    }
                    if ((answered.status() == 401 || answered.status() == 403) && firstCredentials) {
                        return connection
                                .areCredentialsOthers(sent)
                                .flatMap(changed -> changed
                                        ? post(order, index, path, correlationId, body, false)
                                        : Mono.just(answered));
                    }
                    return answered.isWorthAnotherEndpoint() && !last
                            ? post(order, index + 1, path, correlationId, body, firstCredentials)
                            : Mono.just(answered);
                })
                .onErrorResume(
                        ProxyServiceException.class,
                        failure -> last
                                ? Mono.error(failure)
                                : post(order, index + 1, path, correlationId, body, firstCredentials));
    }

    private Mono<Answered> post(
            Endpoint endpoint,
            String path,
            String correlationId,
            AuthCredentials credentials,
            byte[] bytes,
            boolean gzip) {
        boolean compress =
                gzip && bytes.length > settings.feedback().compressAbove().toBytes();
        byte[] sent = compress ? JsonBytes.gzip(bytes) : bytes;
        return connection
                .client()
                .post()
                .uri(endpoint.resolve(path))
                .headers(headers -> {
                    connection.authenticate(headers, credentials);
                    headers.setContentType(MediaType.APPLICATION_JSON);
                    headers.setAccept(List.of(MediaType.APPLICATION_JSON));
                    if (!correlationId.isEmpty()) {
                        headers.set(WebProxyServiceClient.CORRELATION_ID, correlationId);
                    }
                    if (compress) {
                        headers.set(HttpHeaders.CONTENT_ENCODING, "gzip");
                    }
                })
                .bodyValue(sent)
                .exchangeToMono(WebFeedback::read)
                .timeout(Duration.ofSeconds(settings.timeoutSeconds()))
                .onErrorMap(WebProxyServiceClient::explained);
    }

    private static Mono<Answered> read(ClientResponse response) {
        int status = response.statusCode().value();
        Duration retryAfter =
                RetryAfter.parse(response.headers().asHttpHeaders().getFirst(HttpHeaders.RETRY_AFTER));
        if (!response.statusCode().is2xxSuccessful()) {
            return ServiceConnection.discard(response).thenReturn(new Answered(status, NO_REPLY, retryAfter));
        }
        return response.bodyToMono(FeedbackReply.class)
                .onErrorResume(unreadable -> Mono.empty()) // it has been taken, whatever the service says about it
                .defaultIfEmpty(NO_REPLY)
                .map(reply -> new Answered(status, reply, null));
    }

    private static ProxyServiceException failure(Answered answered) {
        Reason reason =
                switch (answered.status()) {
                    case 401, 403 -> Reason.UNAUTHORIZED;
                    case 429 -> Reason.THROTTLED;
                    default -> answered.status() >= 500 ? Reason.SERVER_ERROR : Reason.NOT_FOUND;
                };
        return new ProxyServiceException(reason, "answered " + answered.status(), answered.retryAfter(), null);
    }
}
