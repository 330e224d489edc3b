//! Blocks of ours at a pool of this program, where a node behind the pool has the last word.

use super::*;

#[test]
fn rule_10_a_block_behind_a_pool_counts_when_the_node_has_it() {
    let goals = Goals { blocks: Some(2), ..Goals::default() };
    for node_is_first in [false, true] {
        let mut world = world_of(Plan { block_judge: BlockJudge::Node, ..plan(goals, rig()) });
        let mut verdicts = vec![Verdict::Accepted, Verdict::Rejected, Verdict::Accepted];
        while let Some(verdict) = verdicts.pop() {
            assert!(world.miner.is_mining(), "{} to come", verdicts.len());
            world.start(toy_job(&format!("{}", verdicts.len())));
            assert!(world.find(), "a refused block makes room for another");
            let hash = world.sent.back().unwrap().hash;
            let reason = (verdict == Verdict::Rejected).then(|| "bad-x".to_owned());
            let word = Word { verdict, height: 5, reason };
            if node_is_first {
                world.judge(hash, word);
                world.answer(Verdict::Accepted);
            } else {
                world.answer(Verdict::Accepted);
                assert!(world.miner.is_mining(), "the node has not answered");
                // A guest's block is no news here.
                world.judge(Hash256::default(), word.clone());
                assert!(world.miner.is_mining());
                world.judge(hash, word);
            }
        }
        let revised: Vec<_> = (world.events.iter())
            .filter_map(|event| match event {
                Event::Block(block) => Some((block.was?, block.verdict, block.reason.clone()?)),
                _ => None,
            })
            .collect();
        assert_eq!(revised, [(Verdict::Accepted, Verdict::Rejected, "bad-x".to_owned())]);
        let (summary, end) = world.over();
        assert_eq!((summary.blocks.accepted, summary.blocks.rejected), (2, 1));
        assert_eq!((summary.reason, end), (Reason::Blocks, End::Done));
    }
}

#[test]
fn where_the_pool_s_blocks_are_harder_than_headers_say_a_block_is_one_by_the_node_s_word_alone() {
    let judge = BlockJudge::Pool;
    let mut world = world_of(Plan { block_judge: judge, ..plan(Goals::default(), rig()) });
    world.start(toy_job("a"));
    for _ in 0..3 {
        assert!(world.find(), "by the header every share is a block, and none is held back for it");
    }
    let hash = world.sent.back().unwrap().hash;
    for _ in 0..3 {
        world.answer(Verdict::Accepted);
    }
    let blocks = |world: &World| -> Vec<_> {
        let blocks = world.events.iter().filter_map(|event| match event {
            Event::Block(block) => Some((block.was, block.verdict, block.reason.clone())),
            _ => None,
        });
        blocks.collect()
    };
    assert_eq!((world.shares_told(), blocks(&world)), (3, Vec::new()));
    let say = |world: &mut World, verdict, reason: Option<&str>| {
        let word = Word { verdict, height: 7, reason: reason.map(str::to_owned) };
        world.tell(|miner, now| miner.handle_own_block(now, &"node".into(), hash, word));
    };
    say(&mut world, Verdict::Accepted, None);
    say(&mut world, Verdict::Accepted, None);
    say(&mut world, Verdict::Unresolved, Some("not in the best chain"));
    say(&mut world, Verdict::Accepted, None);
    let reason = Some("not in the best chain".to_owned());
    let told = [
        (None, Verdict::Accepted, None),
        (Some(Verdict::Accepted), Verdict::Unresolved, reason),
        (None, Verdict::Accepted, None),
    ];
    assert_eq!(blocks(&world), told);
    world.tell(|miner, _| miner.handle_interrupt());
    let (summary, _) = world.over();
    let counts = (summary.blocks.found, summary.blocks.accepted, summary.shares.accepted);
    assert_eq!(counts, (1, 1, 3));
}
