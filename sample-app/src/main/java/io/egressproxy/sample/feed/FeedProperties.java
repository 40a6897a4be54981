package io.egressproxy.sample.feed;

import java.net.URI;
import java.time.Duration;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;
import org.springframework.boot.context.properties.source.InvalidConfigurationPropertyValueException;

/**
 * What is read.
 *
 * @param feeds one entry per exchange
 * @param patience after which an answer, or the next message of a WebSocket, is given up; longer than opening a connection may take, since
 *     whoever gives up first writes the message, and this one explains less
 */
@ConfigurationProperties("sample")
record FeedProperties(@DefaultValue List<Source> feeds, @DefaultValue("60s") Duration patience) {

    FeedProperties {
        if (feeds.isEmpty()) {
            throw new InvalidConfigurationPropertyValueException(
                    "sample.feeds", null, "There is nothing to read; see config-example/application.yml of the sample");
        }
        feeds = List.copyOf(feeds);
    }

    /**
     * An exchange's feeds; a missing URL means that there is no such feed.
     *
     * @param name for logs and answers
     * @param restUrl polled each second
     * @param websocketUrl listened to
     * @param websocketSubscribe sent as text once the WebSocket is open, for exchanges that wait to be told
     */
    record Source(
            String name, @Nullable URI restUrl, @Nullable URI websocketUrl, @Nullable String websocketSubscribe) {}
}
