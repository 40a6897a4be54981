package io.egressproxy.autoconfigure;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeSet;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.SmartInitializingSingleton;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.http.client.ClientHttpRequestFactoryBuilder;
import org.springframework.boot.http.client.reactive.ClientHttpConnectorBuilder;
import org.springframework.http.client.ClientHttpRequestFactory;
import org.springframework.http.client.reactive.ClientHttpConnector;
import org.springframework.util.ClassUtils;
import org.springframework.web.client.RestClient;
import org.springframework.web.reactive.function.client.WebClient;

/**
 * Says at start which beans of the application's own make connections past the routes. Spring Boot steps back for them, so
 * that no customizer sees them, and whether they were routed by hand nobody can tell.
 */
public final class UserMadeClients implements SmartInitializingSingleton {
    private static final Logger log = LoggerFactory.getLogger(UserMadeClients.class);
    private static final List<Class<?>> KINDS = List.of(
            ClientHttpConnector.class,
            ClientHttpConnectorBuilder.class,
            ClientHttpRequestFactory.class,
            ClientHttpRequestFactoryBuilder.class,
            WebClient.Builder.class,
            RestClient.Builder.class);

    private final ConfigurableListableBeanFactory beans;
    private final List<Class<?>> kinds;

    /**
     * Looks for them.
     *
     * @param beans those of the application
     * @param alsoLookedFor a kind of client that has another name in each generation of Spring Boot, and may not be there
     */
    public UserMadeClients(ConfigurableListableBeanFactory beans, String alsoLookedFor) {
        this.beans = beans;
        this.kinds = new ArrayList<>(KINDS);
        ClassLoader loader = beans.getBeanClassLoader();
        if (ClassUtils.isPresent(alsoLookedFor, loader)) {
            kinds.add(ClassUtils.resolveClassName(alsoLookedFor, loader));
        }
    }

    @Override
    public void afterSingletonsInstantiated() {
        TreeSet<String> names = new TreeSet<>();
        for (Class<?> kind : kinds) {
            Arrays.stream(beans.getBeanNamesForType(kind, true, false))
                    .filter(name -> !isSpringBoots(name))
                    .forEach(names::add);
        }
        if (!names.isEmpty()) {
            log.warn(
                    "These beans take the place of Spring Boot's and are not routed through proxies unless they were built"
                            + " on an HttpClient from ProxyInjector.customize(..): {}",
                    String.join(", ", names));
        }
    }

    private boolean isSpringBoots(String name) {
        if (!beans.containsBeanDefinition(name)) {
            return false;
        }
        String factory = beans.getBeanDefinition(name).getFactoryBeanName();
        return factory != null
                && (factory.startsWith("org.springframework.boot.") || factory.startsWith("io.egressproxy."));
    }
}
