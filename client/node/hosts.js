// SPDX-License-Identifier: Apache-2.0
// Which service a URL belongs to.
import { Breaker, Service } from './breaker.js';

const KNOWN = {
  'api.openai.com': 'openai',
  'api.anthropic.com': 'anthropic',
  'generativelanguage.googleapis.com': 'gemini',
  'api.mistral.ai': 'mistral',
  'discord.com': 'discord',
  'discordapp.com': 'discord',
};
const NAME_MAX = 63;

/** By URL: the one service, or one of a map by host; other hosts are services of their own name. */
export function finder(target, breaker) {
  const named = (one) => (one instanceof Service ? one : (breaker ?? Breaker.shared()).service(one));
  if (target instanceof Service || typeof target === 'string') {
    const service = named(target);
    return () => service;
  }
  const hosts = new Map(Object.entries({ ...KNOWN, ...target }));
  return (url) => {
    const { hostname, port } = new URL(url);
    const plain = hostname.toLowerCase().replace(/^\[|\]$|\.$/g, '');
    const host = port ? `${plain}:${port}` : plain;
    const own = () => host.replace(/[^a-z0-9._:/@-]/g, '_').slice(0, NAME_MAX);
    return named(hosts.get(host) ?? hosts.get(plain) ?? own());
  };
}
