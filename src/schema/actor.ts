/** Who did something, as shown in every history. */
import { builder } from './builder.ts';
import { ActorKind } from './enums.ts';

export type ActorShape = {
  readonly actorKind: 'system' | 'user' | 'api_key';
  readonly actorId: string | null;
};

export const Actor = builder.objectRef<ActorShape>('Actor').implement({
  description: 'Who did it.',
  fields: (t) => ({
    kind: t.field({
      type: ActorKind,
      description: 'What sort of actor.',
      resolve: (actor) => actor.actorKind,
    }),
    id: t.string({
      nullable: true,
      description: 'The id of the key or person; null for the system.',
      resolve: (actor) => actor.actorId,
    }),
  }),
});

/** From how a row remembers it: a kind and an id, or nothing for the system. */
export function actorOf(name: string | null): ActorShape {
  const [, actorKind = 'system', actorId = null] = /^(user|api_key)(?::(.*))?$/s.exec(name ?? '') ?? [];
  return { actorKind: actorKind as ActorShape['actorKind'], actorId };
}
